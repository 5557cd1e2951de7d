import { Readable } from 'node:stream';
import { linesOf } from '../client/lines.js';

interface Call {
  readonly seq: number;
  readonly kind: string;
  readonly quota?: string;
}

export interface CallFigures {
  readonly requests: number;
  readonly importerCalls: number;
  /** Calls that the destination refused for coming too fast. */
  readonly refusals: number;
}

/** What the sandbox itself has recorded: the judge of what Sluice did. */
export class SandboxRecord {
  constructor(private readonly url: string) {}

  /** The number of the last call so far. */
  async lastCall(): Promise<number> {
    const response = await fetch(`${this.url}/sandbox/state`);
    const { calls } = (await response.json()) as { calls: number };
    return calls;
  }

  async callsAfter(last: number): Promise<CallFigures> {
    let [requests, importerCalls, refusals] = [0, 0, 0];
    for await (const { kind, quota } of this.lines<Call>(`log?after=${last}`)) {
      requests += 1;
      if (kind === 'importer') importerCalls += 1;
      if (quota !== undefined) refusals += 1;
    }
    return { requests, importerCalls, refusals };
  }

  /** When each batch was accepted, in the sandbox's ms, in order. */
  async acceptances(): Promise<number[]> {
    const moments: number[] = [];
    for await (const { acceptedAt } of this.lines<{ acceptedAt: number }>('batches'))
      moments.push(acceptedAt);
    return moments.sort((a, b) => a - b);
  }

  private async *lines<T>(what: string): AsyncGenerator<T> {
    const { body } = await fetch(`${this.url}/sandbox/${what}`);
    if (body === null) return;
    for await (const line of linesOf(Readable.fromWeb(body) as AsyncIterable<Buffer>)) {
      if (line.length > 0) yield JSON.parse(line.toString()) as T;
    }
  }
}
