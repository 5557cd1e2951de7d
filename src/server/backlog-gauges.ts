import { Gauge, type Registry } from 'prom-client';
import type { Clock } from '../clock.js';
import { describeError } from '../errors.js';
import type { Backlog } from '../exports/backlog.js';
import type { Logger } from '../logger.js';

/** However often it is scraped, and by however many, the database is asked no more often than this. */
const FRESH_MS = 5_000;

/** Adds what is still to be done, read from the database when somebody scrapes. */
export function addBacklogGauges(
  registry: Registry,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
  read: () => Promise<Backlog>,
): void {
  const registers = [registry];
  let latest: { at: number; backlog: Promise<Backlog | undefined> } | undefined;

  /** Undefined: the database could not be read. The other figures are told nevertheless. */
  const backlog = (): Promise<Backlog | undefined> => {
    const now = clock.monotonic();
    if (latest === undefined || now - latest.at >= FRESH_MS) {
      const reading = read().catch((error: unknown) => {
        logger.warn({ why: describeError(error) }, 'the backlog could not be read for the metrics');
        return undefined;
      });
      latest = { at: now, backlog: reading };
    }
    return latest.backlog;
  };

  const runs: Gauge = new Gauge({
    name: 'sluice_runs',
    help: 'Runs that are not at an end, in the whole installation: every process tells the same, so take max(), not sum(). HELD: somebody must approve or cancel them.',
    labelNames: ['state'],
    registers,
    collect: async () => {
      runs.reset();
      for (const [state, count] of (await backlog())?.runs ?? []) runs.set({ state }, count);
    },
  });
  addGauge(registers, {
    name: 'sluice_queue_depth',
    help: 'Runs that could begin and that no worker has taken up, in the whole installation: take max(). It should fall to 0 at once; while it does not, see sluice_queue_oldest_seconds.',
    value: async () => (await backlog())?.waiting,
  });
  addGauge(registers, {
    name: 'sluice_queue_oldest_seconds',
    help: 'How long the oldest of these waits; 0: none does. Above 60: no worker takes runs up. Look whether worker processes live, and for "could not be worked" in the log.',
    value: async () => {
      const known = await backlog();
      if (known === undefined) return undefined;
      return known.waitingSince === undefined ? 0 : Math.max(0, clock.now() - known.waitingSince) / 1_000;
    },
  });
}

function addGauge(
  registers: Registry[],
  { name, help, value }: { name: string; help: string; value: () => Promise<number | undefined> },
): void {
  const gauge: Gauge = new Gauge({
    name,
    help,
    registers,
    collect: async () => {
      const present = await value();
      // An old figure would look like a new one.
      if (present === undefined) gauge.remove();
      else gauge.set(present);
    },
  });
}
