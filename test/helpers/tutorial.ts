/** What a README prints between two headings, as steps that a reader takes one after the other. */
export interface Step {
  /** The line of the file on which the block begins. */
  readonly line: number;
  /** The language of the block: `sh`, `graphql`, `json`, … */
  readonly language: string;
  /** What follows the language: a file's name, `variables`, `answer`. */
  readonly label: string;
  readonly text: string;
}

/** The fenced blocks of one chapter, in order. @throws if there is no such chapter. */
export function readSteps(markdown: string, heading: string): Step[] {
  const lines = markdown.split('\n');
  const start = lines.indexOf(heading);
  if (start === -1) throw new Error(`There is no heading "${heading}".`);
  const steps: Step[] = [];
  let open: { line: number; language: string; label: string; text: string[] } | undefined;
  for (let at = start + 1; at < lines.length; at += 1) {
    const text = lines[at] ?? '';
    if (open === undefined && text.startsWith('## ')) break;
    const fence = /^```(\S*) ?(.*)$/.exec(text);
    if (fence === null) open?.text.push(text);
    else if (open === undefined) {
      open = { line: at + 1, language: fence[1] ?? '', label: fence[2] ?? '', text: [] };
    } else {
      steps.push({ ...open, text: open.text.join('\n') });
      open = undefined;
    }
  }
  return steps;
}

/**
 * What stands for something that differs from reader to reader: ids, the token, the addresses. A reader writes the real
 * one in its place, and so does this.
 */
export class Placeholders {
  readonly #values = new Map<string, string>();

  set(name: string, value: string): void {
    this.#values.set(name, value);
  }

  fill(text: string): string {
    let filled = text;
    for (const [name, value] of this.#values) filled = filled.replaceAll(name, value);
    return filled;
  }

  /**
   * The printed answer as it should be for this reader: `SOME_ID` is learned where it stands first and has to be the
   * same from then on, and a text that ends in … only has to begin as printed.
   */
  expected(printed: unknown, actual: unknown): unknown {
    if (typeof printed === 'string' && typeof actual === 'string') return this.#expectedText(printed, actual);
    if (Array.isArray(printed)) {
      const others: readonly unknown[] = Array.isArray(actual) ? actual : [];
      return printed.map((part: unknown, index) => this.expected(part, others[index]));
    }
    if (typeof printed !== 'object' || printed === null) return printed;
    const other = (typeof actual === 'object' ? actual : null) as Record<string, unknown> | null;
    return Object.fromEntries(
      Object.entries(printed).map(([key, part]) => [key, this.expected(part, other?.[key])]),
    );
  }

  #expectedText(printed: string, actual: string): string {
    if (/^[A-Z]+_ID$/.test(printed)) {
      if (!this.#values.has(printed)) this.set(printed, actual);
      return this.fill(printed);
    }
    return printed.endsWith('…') && actual.startsWith(printed.slice(0, -1)) ? actual : this.fill(printed);
  }
}

/** A shell command of one line, or of several joined by backslashes: `NAME=value program 'argument' "argument"`. */
export function parseCommand(text: string): { env: Record<string, string>; words: string[] } {
  const words = [...text.replaceAll('\\\n', ' ').matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, plain]) => double ?? single ?? plain ?? '',
  );
  const env: Record<string, string> = {};
  while (/^[A-Z_]+=/.test(words[0] ?? '')) {
    const [name = '', value = ''] = words.shift()?.split('=') ?? [];
    env[name] = value;
  }
  return { env, words };
}

/** What curl would ask for, of the few flags that the README uses. @throws for any other. */
export function parseCurl(words: readonly string[]): {
  url: string;
  method: string;
  headers: Record<string, string>;
  data: string | undefined;
  file: string | undefined;
} {
  const request = { url: '', method: 'GET', headers: {} as Record<string, string> };
  let data: string | undefined;
  let file: string | undefined;
  for (let at = 1; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (!word.startsWith('-')) request.url = word;
    else {
      at += 1;
      const value = words[at] ?? '';
      if (word === '-H') request.headers[value.split(': ')[0] ?? ''] = value.slice(value.indexOf(': ') + 2);
      else if (word === '-d') [data, request.method] = [value, 'POST'];
      else if (word === '-T') [file, request.method] = [value, 'PUT'];
      else throw new Error(`The tutorial's test does not know curl ${word}.`);
    }
  }
  return { ...request, data, file };
}
