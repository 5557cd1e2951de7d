import { Readable } from 'node:stream';
import { Failure, messageOf } from '../client/failure.js';
import { linesOf } from '../client/lines.js';

/** A contact as the sandbox holds it. */
export interface HeldContact {
  readonly email: string;
  readonly firstName: string;
  readonly lastName: string;
  readonly phone: string;
  /** Status 1 is active. */
  readonly lists: readonly { readonly list: number; readonly status: number }[];
}

export interface Calls {
  /** Calls of the importer, and how many of all calls were refused for coming too fast. */
  readonly importer: number;
  readonly tooFast: number;
}

/** What the sandbox itself has recorded: the judge of what Sluice says. */
export class SandboxRecord {
  constructor(
    private readonly url: string,
    private readonly signal: AbortSignal,
  ) {}

  /** Everybody whom the sandbox holds, whoever put him there. */
  contacts(): AsyncGenerator<HeldContact> {
    return this.lines<HeldContact>('contacts');
  }

  /** Lower-case addresses that the sandbox was sent and did not take: refused at once, or reported as failed. */
  async failed(): Promise<Set<string>> {
    const emails: string[] = [];
    for await (const { failure } of this.lines<{ failure: string[] }>('batches')) emails.push(...failure);
    for await (const { refused } of this.lines<{ refused: { blamed: string[] }[] }>('refused')) {
      for (const { blamed } of refused) emails.push(...blamed);
    }
    return new Set(emails.map((email) => email.toLowerCase()));
  }

  async calls(): Promise<Calls> {
    let importer = 0;
    let tooFast = 0;
    for await (const { kind, quota } of this.lines<{ kind: string; quota?: string }>('log')) {
      if (kind === 'importer') importer += 1;
      if (quota !== undefined) tooFast += 1;
    }
    return { importer, tooFast };
  }

  private async *lines<T>(what: string): AsyncGenerator<T> {
    const response = await this.get(what);
    if (response.body === null) return;
    for await (const line of linesOf(Readable.fromWeb(response.body) as AsyncIterable<Buffer>)) {
      if (line.length > 0) yield JSON.parse(line.toString()) as T;
    }
  }

  private async get(what: string): Promise<Response> {
    try {
      return await fetch(`${this.url}/sandbox/${what}`, { signal: this.signal });
    } catch (error: unknown) {
      this.signal.throwIfAborted();
      throw new Failure(`The sandbox does not answer: ${messageOf(error)}.`, undefined, { cause: error });
    }
  }
}
