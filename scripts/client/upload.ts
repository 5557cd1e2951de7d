import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import { Failure, messageOf } from './failure.js';
import type { Format } from './profiles-file.js';

/** Where a server is, and who asks. */
export interface Server {
  readonly url: string;
  readonly token: string;
}

export interface UploadOptions {
  readonly idColumn: string;
  readonly segment?: string | undefined;
  readonly mode?: string | undefined;
  readonly idAttribute?: boolean | undefined;
  readonly columns?: string | undefined;
  readonly short?: string | undefined;
  readonly format: Format;
  readonly gzip: boolean;
  /** Called with the bytes handed over so far. */
  readonly onBytes?: (bytes: number) => void;
}

/** What the server says of an import. received = stored + unchanged + rejected. */
export interface ImportReport {
  readonly received: number;
  readonly stored: number;
  readonly unchanged: number;
  readonly rejected: number;
  readonly removed: number;
  readonly errors: readonly { readonly line: number; readonly message: string }[];
  readonly warnings: readonly string[];
}

/** The server refused the file, or it broke off; the report, if there is one, says what is stored all the same. */
export class ImportFailure extends Failure {
  constructor(
    message: string,
    remedy: string | undefined,
    readonly report: ImportReport | undefined,
  ) {
    super(message, remedy);
  }
}

const CONTENT_TYPES: Record<Format, string> = { csv: 'text/csv', ndjson: 'application/x-ndjson' };

/**
 * Streams profiles to `PUT /profiles`, at the pace at which the server takes them.
 *
 * By Node's own request rather than by `fetch`, which gives up when a server is silent for five minutes; a large file
 * may take that long to be worked off.
 * @throws {ImportFailure} as the server says. @throws {Failure} if nobody answers.
 */
export async function uploadProfiles(
  server: Server,
  options: UploadOptions,
  body: Readable,
  signal: AbortSignal,
): Promise<ImportReport> {
  // A request that is aborted before it begins never lets go of its pipeline.
  signal.throwIfAborted();
  const { idColumn, segment, mode, idAttribute, columns, short, format, gzip, onBytes } = options;
  const url = new URL('profiles', withSlash(server.url));
  const parameters = { id: idColumn, segment, mode, idAttribute, columns, short };
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    method: 'PUT',
    headers: {
      authorization: `Bearer ${server.token}`,
      'content-type': CONTENT_TYPES[format],
      ...(gzip && { 'content-encoding': 'gzip' }),
    },
    signal,
  });
  const answered = once(request, 'response') as Promise<[IncomingMessage]>;
  const sent = pipeline(counted(body, onBytes), request);
  try {
    // A refusal comes before the body has gone through, and then there is no use in sending the rest.
    const [response] = await Promise.race([answered, sent.then(() => answered)]);
    const answer = await text(response);
    if (response.statusCode !== 200) throw refusal(response.statusCode ?? 0, answer);
    return JSON.parse(answer) as ImportReport;
  } catch (error: unknown) {
    signal.throwIfAborted();
    throw error instanceof Failure ? error : unreachable(server, error);
  } finally {
    body.destroy();
    request.destroy();
    await Promise.allSettled([sent, answered]);
  }
}

/** What a person can do when nobody answers. */
export function unreachable({ url }: Pick<Server, 'url'>, cause: unknown): Failure {
  const code = (cause as { code?: unknown } | undefined)?.code;
  const reason = cause instanceof Error && cause.message !== '' ? cause.message : String(code ?? cause);
  return code === 'ECONNREFUSED'
    ? new Failure(`Nobody answers at ${url}.`, 'Is the server running? Start it with: npm start', { cause })
    : new Failure(
        `The server at ${url} cannot be spoken to: ${reason}.`,
        'Check the address and the server.',
        {
          cause,
        },
      );
}

/** Without it, `new URL` would cut the last part of a path off. */
export function withSlash(url: string): string {
  return url.endsWith('/') ? url : `${url}/`;
}

interface ErrorAnswer {
  readonly errors?: readonly {
    readonly message: string;
    readonly extensions?: { readonly remedy?: string; readonly report?: ImportReport };
  }[];
}

function refusal(status: number, answer: string): Failure {
  const first = readErrors(answer)?.[0];
  if (first !== undefined) {
    return new ImportFailure(first.message, first.extensions?.remedy, first.extensions?.report);
  }
  return new Failure(
    `The answer ${status} is none of Sluice's: ${answer.slice(0, 200)}`,
    'Check that the address is that of a Sluice server.',
  );
}

function readErrors(answer: string): ErrorAnswer['errors'] {
  try {
    return (JSON.parse(answer) as ErrorAnswer).errors;
  } catch {
    return undefined;
  }
}

async function* counted(
  body: Readable,
  onBytes: ((bytes: number) => void) | undefined,
): AsyncGenerator<Buffer> {
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      onBytes?.(bytes);
      yield chunk;
    }
  } catch (error: unknown) {
    throw new Failure(`The file cannot be read to its end: ${messageOf(error)}.`, undefined, {
      cause: error,
    });
  }
}
