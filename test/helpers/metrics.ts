import { bearer, type Sluice } from './sluice.js';

export const METRICS_TOKEN = 'token-of-whoever-gathers-figures';

/** A figure with its labels, as it was told. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Scrape {
  readonly text: string;
  readonly samples: readonly Sample[];
  /** The one figure of this name whose labels hold these. @throws if there is none, or more than one. */
  readonly value: (name: string, labels?: Readonly<Record<string, string>>) => number;
  /** The sum of all figures of this name whose labels hold these. */
  readonly sum: (name: string, labels?: Readonly<Record<string, string>>) => number;
}

/** Reads /metrics as Prometheus does. @throws if it is not answered, or is not in the format. */
export async function scrape(sluice: Pick<Sluice, 'url'>): Promise<Scrape> {
  const response = await fetch(`${sluice.url}/metrics`, { headers: bearer(METRICS_TOKEN) });
  if (response.status !== 200) throw new Error(`/metrics answered ${response.status}.`);
  const text = await response.text();
  const samples = parse(text);
  const matching = (name: string, labels: Readonly<Record<string, string>> = {}) =>
    samples.filter(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
  return {
    text,
    samples,
    value: (name, labels) => {
      const [only, ...others] = matching(name, labels);
      if (only === undefined || others.length > 0) {
        throw new Error(`There are ${others.length + (only ? 1 : 0)} of ${name} ${JSON.stringify(labels)}.`);
      }
      return only.value;
    },
    sum: (name, labels) => matching(name, labels).reduce((sum, { value }) => sum + value, 0),
  };
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/gy;

/**
 * The text format of Prometheus, version 0.0.4: each metric has one HELP and one TYPE before its samples, every sample
 * belongs to the metric above it, and no series is told twice.
 */
export function parse(text: string): Sample[] {
  if (!text.endsWith('\n')) throw new Error('The last line does not end.');
  const samples: Sample[] = [];
  const metrics = new Set<string>();
  const series = new Set<string>();
  let metric: { name: string; type: string | undefined } | undefined;
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      if (metrics.has(name)) throw new Error(`${name} comes twice.`);
      metrics.add(name);
      metric = { name, type: undefined };
    } else if (keyword === 'TYPE') {
      if (metric?.name !== name || metric.type !== undefined) throw new Error(`Out of place: ${line}`);
      if (!['counter', 'gauge', 'histogram', 'summary'].includes(rest)) throw new Error(`No type: ${line}`);
      metric.type = rest;
    } else {
      const sample = parseSample(line);
      const id = `${sample.name}${JSON.stringify(sample.labels)}`;
      if (!namesOf(metric).includes(sample.name)) throw new Error(`Out of place: ${line}`);
      if (series.has(id)) throw new Error(`Told twice: ${line}`);
      series.add(id);
      samples.push(sample);
    }
  }
  return samples;
}

/** How the samples of a metric may be called. */
function namesOf(metric: { name: string; type: string | undefined } | undefined): string[] {
  if (metric?.type === undefined) return [];
  const { name, type } = metric;
  if (type === 'histogram') return [`${name}_bucket`, `${name}_sum`, `${name}_count`];
  return type === 'summary' ? [name, `${name}_sum`, `${name}_count`] : [name];
}

function parseSample(line: string): Sample {
  const [, name, inner = '', number = ''] = SAMPLE.exec(line) ?? [];
  if (name === undefined) throw new Error(`Not a sample: ${line}`);
  const found = [...inner.matchAll(LABEL)];
  if (found.map(([whole]) => whole).join('') !== inner) throw new Error(`Labels cannot be read: ${line}`);
  const value = Number(number.replace(/^([+-]?)Inf$/, '$1Infinity'));
  if (Number.isNaN(value) && number !== 'NaN') throw new Error(`Not a number: ${line}`);
  return {
    name,
    labels: Object.fromEntries(found.map(([, label = '', text = '']) => [label, text])),
    value,
  };
}
