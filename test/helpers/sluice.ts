import 'reflect-metadata';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { createClient, type Client } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { Clock } from '../../src/clock.js';
import { readConfig } from '../../src/config.js';
import type { ConsentStatements } from '../../src/connections/consent-statements.js';
import type { StartDeadline } from '../../src/destinations/http.js';
import type { Ticker } from '../../src/jobs/ticker.js';
import { createLogger, type Logger } from '../../src/logger.js';
import { DOOR_LIMITS, type DoorLimits } from '../../src/server/limits.js';
import { startServer, type Server } from '../../src/server/server.js';
import { removeFolder, settingsFor } from './databases.js';
import { noteStart, noteStop } from './leaks.js';

export interface SluiceOptions {
  /** Settings beside, or instead of, those of the helper. */
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  /** Other statements to be agreed to than the present ones. */
  readonly consentStatements?: ConsentStatements;
  /** When a destination has taken too long for an answer; see patience.ts. Without it, after half a minute. */
  readonly startDeadline?: StartDeadline;
  /** Other limits of the doors than the usual ones. */
  readonly limits?: Partial<DoorLimits>;
  /** Tells when to look what is due; without it, every second. */
  readonly ticker?: Ticker;
  /** A destination that may be called; its time passes as good as without quota. */
  readonly sandbox?: { readonly host: string };
  /** The data folder of an earlier server, to go on with; without it each server gets its own, and removes it. */
  readonly folder?: string;
}

export interface GraphQLAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: { data?: Record<string, unknown> | null; errors?: GraphQLFailure[] };
}

export interface GraphQLFailure {
  readonly message: string;
  readonly path?: (string | number)[];
  readonly extensions: {
    code: string;
    remedy?: string;
    field?: string;
    correlationId?: string;
    requestId?: string;
  };
}

/** What `query` and `subscribe` throw; `failures` are the errors as they came. */
export class GraphQLRequestError extends Error {
  constructor(readonly failures: readonly GraphQLFailure[]) {
    super(failures.map(({ message, extensions }) => `${extensions.code}: ${message}`).join('; '));
  }

  get code(): string | undefined {
    return this.failures[0]?.extensions.code;
  }
}

export type Variables = Record<string, unknown>;
export const TEST_TOKEN = 'token-of-the-tests-administrator';
const TIME_SCALE = '100000';

/**
 * Starts a real server: own port, own database, a known token. Speak to it as any client does.
 * @example await using sluice = await startSluice({ sandbox });
 */
export async function startSluice(options: SluiceOptions = {}): Promise<Sluice> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'sluice-')));
  try {
    return await startIn(folder, options);
  } catch (error: unknown) {
    if (options.folder === undefined) await removeFolder(folder);
    throw error;
  }
}

async function startIn(folder: string, options: SluiceOptions): Promise<Sluice> {
  const config = readConfig({
    PORT: '0',
    ...(await settingsFor(folder)),
    SLUICE_ADMIN_TOKEN: TEST_TOKEN,
    ...(options.sandbox && {
      SLUICE_SANDBOX_HOSTS: options.sandbox.host,
      SLUICE_SANDBOX_TIME_SCALE: TIME_SCALE,
    }),
    ...options.env,
  });
  const log: LogLine[] = [];
  const logger = loggerInto(log, config.logLevel);
  const limits = { ...DOOR_LIMITS, ...options.limits };
  const { clock, ticker, consentStatements, startDeadline } = options;
  const server = await startServer(config, {
    logger,
    limits,
    ...(startDeadline && { startDeadline }),
    ...(clock && { clock }),
    ...(ticker && { ticker }),
    ...(consentStatements && { consentStatements }),
  });
  const sluice = new Sluice(server, config.adminToken ?? '', folder, options.folder === undefined, log);
  noteStart(sluice, `sluice at ${server.url}`);
  return sluice;
}

/** A data folder that outlives a server, for tests that start another one on it. */
export async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-'));
  return { path, [Symbol.asyncDispose]: () => removeFolder(path) };
}

type LogLine = Record<string, unknown>;

function loggerInto(lines: LogLine[], level: string): Logger {
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(JSON.parse(chunk.toString()) as LogLine);
      done();
    },
  });
  return createLogger(level, sink);
}

export class Sluice implements AsyncDisposable {
  readonly url: string;
  #subscriptions: Client | undefined;

  constructor(
    private readonly server: Server,
    readonly token: string,
    readonly folder: string,
    private readonly ownsFolder: boolean,
    /** Everything that the server logged, line by line. */
    readonly log: readonly LogLine[],
  ) {
    this.url = server.url;
  }

  /** The data of the answer. @throws {GraphQLRequestError} if there is any error in it. */
  async query<Data = Record<string, never>>(document: string, variables?: Variables): Promise<Data> {
    const { body } = await this.request(document, variables);
    if (body.errors !== undefined) throw new GraphQLRequestError(body.errors);
    return body.data as Data;
  }

  /** The answer as it is. `token` null: without one; `headers` besides. */
  async request(
    document: string,
    variables?: Variables,
    { token = this.token, headers = {} }: { token?: string | null; headers?: Record<string, string> } = {},
  ): Promise<GraphQLAnswer> {
    const response = await fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer(token), ...headers },
      body: JSON.stringify({ query: document, variables }),
    });
    const body = (await response.json()) as GraphQLAnswer['body'];
    return { status: response.status, headers: response.headers, body };
  }

  /** The same server, as somebody else sees it. Whoever started it stops it. */
  as(token: string): Sluice {
    return new Sluice(this.server, token, this.folder, false, this.log);
  }

  /** The data of each event. @throws {GraphQLRequestError} from the iterator. */
  async *subscribe<Data>(document: string, variables?: Variables): AsyncGenerator<Data> {
    this.#subscriptions ??= createClient({
      url: this.webSocketUrl,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${this.token}` },
      retryAttempts: 0,
    });
    const events = this.#subscriptions.iterate({ query: document, variables: variables ?? null });
    for await (const { data, errors } of events) {
      if (errors !== undefined) throw new GraphQLRequestError(errors as unknown as GraphQLFailure[]);
      yield data as Data;
    }
  }

  get webSocketUrl(): string {
    return `${this.url.replace(/^http/, 'ws')}/graphql`;
  }

  /** Imports a CSV with a header row. @throws if it is not taken. */
  async importCsv(
    csv: string,
    options: { id?: string; segment?: string; mode?: string } = {},
  ): Promise<ImportAnswer> {
    const parameters = new URLSearchParams({ id: 'id', ...options });
    const response = await fetch(`${this.url}/profiles?${parameters.toString()}`, {
      method: 'PUT',
      headers: { 'content-type': 'text/csv', ...bearer(this.token) },
      body: csv,
    });
    const body: unknown = await response.json();
    if (!response.ok) throw new GraphQLRequestError((body as { errors: GraphQLFailure[] }).errors);
    return body as ImportAnswer;
  }

  async stop(): Promise<void> {
    noteStop(this);
    await this.#subscriptions?.dispose();
    await this.server.stop();
    if (this.ownsFolder) await removeFolder(this.folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

export interface ImportAnswer {
  readonly received: number;
  readonly stored: number;
  readonly unchanged: number;
  readonly rejected: number;
  readonly removed: number;
  readonly errors: readonly { line: number; message: string }[];
}

export function bearer(token: string | null): Record<string, string> {
  return token === null ? {} : { authorization: `Bearer ${token}` };
}
