import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { GraphQLClient } from '../client/graphql-client.js';
import { Failure } from '../client/failure.js';
import { uploadProfiles, type ImportReport, type Server } from '../client/upload.js';
import { watchRun, type FinishedRun } from '../demo/watch-run.js';
import type { Databases, FreshDatabase } from '../databases/databases.js';
import type { Narrator } from '../demo/narrator.js';
import { csvOf, type Person } from './people.js';
import { Processes, startFlags, type RunningProgram } from './processes.js';
import { SandboxRecord } from './sandbox-record.js';

/** Quotas count for nothing at this scale. */
export const NO_QUOTA = 100_000;

const TOKEN = 'bench-token-of-the-administrator';
export const API_KEY = 'bench-key';
export const LIST_ID = '1';
const SEGMENT = 'Everybody';
/** A million contacts live for long: sweeping the young ones in larger steps is cheaper. */
const SANDBOX_FLAGS = ['--max-semi-space-size=64', '--max-old-space-size=4096'];
/** The destination takes five calls a second, and what is asked for by hand is not held back. */
const BREATH_MS = 1_000;

export interface Surroundings {
  readonly databases: Databases;
  readonly narrator: Narrator;
  readonly signal: AbortSignal;
  /** How many times as fast the destination's time passes. */
  readonly timeScale: number;
  /** How many lists the account has; 1 unless given. */
  readonly lists?: number;
}

/** Starts a sandbox in a process of its own. */
export async function startSandbox(
  processes: Processes,
  timeScale: number,
  lists = 1,
): Promise<RunningProgram> {
  const names = Array.from({ length: lists }, (_, index) => `${index + 1}:List ${index + 1}`).join(',');
  const flags = [
    '--port',
    '0',
    '--token',
    API_KEY,
    '--time-scale',
    String(timeScale),
    '--lists',
    names,
    '--json',
  ];
  return processes.start('sandbox', {
    script: 'sandbox/main.js',
    nodeFlags: SANDBOX_FLAGS,
    args: flags,
  });
}

/** A sandbox and a server, each in a process of its own, on a fresh database; spoken to as by any client. */
export class World implements AsyncDisposable {
  private constructor(
    private readonly opened: AsyncDisposableStack,
    private readonly processes: Processes,
    private readonly surroundings: Surroundings,
    private readonly database: FreshDatabase,
    private readonly sandbox: RunningProgram,
    private program: RunningProgram,
  ) {}

  static async open(surroundings: Surroundings): Promise<World> {
    await using opened = new AsyncDisposableStack();
    const processes = new Processes();
    // The server goes before its database.
    const database = opened.use(await surroundings.databases.create(processes.folder));
    opened.use(processes);
    const sandbox = await startSandbox(processes, surroundings.timeScale, surroundings.lists);
    const program = await startServer(processes, database, sandbox, surroundings.timeScale);
    return new World(opened.move(), processes, surroundings, database, sandbox, program);
  }

  get server(): Server {
    return { url: this.program.url, token: TOKEN };
  }

  /** As the server's own setting. */
  get databaseUrl(): string {
    return this.database.url;
  }

  /** For files that are gone with the world. */
  get folder(): string {
    return this.processes.folder;
  }

  get client(): GraphQLClient {
    return new GraphQLClient(this.server, this.surroundings.signal);
  }

  get record(): SandboxRecord {
    return new SandboxRecord(this.sandbox.url);
  }

  /** Of the server as it runs now. */
  peakRssMb(): number | null {
    return this.program.peakRssMb();
  }

  /** Of the server as it runs now. */
  cpuSeconds(): number | null {
    return this.program.cpuSeconds();
  }

  /** Another process on the same database, so that its memory is that of what comes now alone. */
  async restartServer(): Promise<void> {
    await this.program.stop();
    this.program = await startServer(
      this.processes,
      this.database,
      this.sandbox,
      this.surroundings.timeScale,
    );
  }

  /** Kills the server without warning; `restartServer` brings it back. */
  async killServer(): Promise<void> {
    await this.program.kill();
  }

  /** Makes a segment of exactly these people. */
  async import(people: Iterable<Person>, segment = SEGMENT): Promise<ImportReport> {
    return this.importCsv(csvOf(people), segment);
  }

  async importCsv(csv: Readable, segment = SEGMENT): Promise<ImportReport> {
    const options = { idColumn: 'id', segment, format: 'csv', gzip: false } as const;
    const report = await uploadProfiles(this.server, options, csv, this.surroundings.signal);
    if (report.rejected > 0) throw new Failure(`${report.rejected} rows were rejected.`);
    return report;
  }

  /** Connects the sandbox's account. Answers the connection's id. */
  async connectAccount(): Promise<string> {
    const input = {
      kind: 'ACTIVE_CAMPAIGN',
      displayName: 'Sandbox',
      host: new URL(this.sandbox.url).host,
      apiKey: API_KEY,
    };
    const { createConnection } = await this.client.query<{ createConnection: { id: string } }>(
      'mutation ($input: CreateConnectionInput!) { createConnection(input: $input) { id } }',
      { input },
    );
    const { consentStatement } = await this.client.query<{ consentStatement: { version: string } }>(
      '{ consentStatement(kind: ACTIVE_CAMPAIGN) { version } }',
    );
    await this.client.query(
      `mutation ($id: ID!, $version: String!) {
        giveConsent(connectionId: $id, statementVersion: $version) { id }
        connect(connectionId: $id) { id }
        becomeExportUser(connectionId: $id) { id }
      }`,
      { id: createConnection.id, version: consentStatement.version },
    );
    await this.breathe();
    return createConnection.id;
  }

  /** @param more of CreateExportInput. */
  async createExport(connectionId: string, segment = SEGMENT, more: object = {}): Promise<string> {
    const { segments } = await this.client.query<{ segments: { nodes: { id: string; name: string }[] } }>(
      '{ segments(first: 100) { nodes { id name } } }',
    );
    const segmentIds = segments.nodes.filter(({ name }) => name === segment).map(({ id }) => id);
    const mapping = { email: 'email', firstName: 'first_name', lastName: 'last_name', phone: 'phone' };
    const input = { name: segment, connectionId, listId: LIST_ID, segmentIds, mapping, ...more };
    const { createExport } = await this.client.query<{ createExport: { id: string } }>(
      'mutation ($input: CreateExportInput!) { createExport(input: $input) { id } }',
      { input },
    );
    await this.breathe();
    return createExport.id;
  }

  /** Runs an export to its end. The seconds are the caller's, from the request to the last event. */
  async run(exportId: string): Promise<{ run: FinishedRun; seconds: number }> {
    const startedAt = performance.now();
    const { runExport } = await this.client.query<{ runExport: { id: string } }>(
      'mutation ($exportId: ID!) { runExport(exportId: $exportId) { id } }',
      { exportId },
    );
    const run = await watchRun(this.client, runExport.id, this.surroundings.narrator);
    const seconds = (performance.now() - startedAt) / 1_000;
    if (run.state === 'SUCCEEDED') return { run, seconds };
    throw new Failure(`The run ended ${run.state}: ${run.problem?.message ?? JSON.stringify(run.progress)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.opened.disposeAsync();
  }

  private async breathe(): Promise<void> {
    const { timeScale, signal } = this.surroundings;
    await pause(BREATH_MS / timeScale, undefined, { signal });
  }
}

async function startServer(
  processes: Processes,
  database: FreshDatabase,
  sandbox: RunningProgram,
  timeScale: number,
): Promise<RunningProgram> {
  return processes.start('server', {
    script: 'src/main.js',
    nodeFlags: startFlags(),
    env: {
      PORT: '0',
      DATABASE_URL: database.url,
      SLUICE_ADMIN_TOKEN: TOKEN,
      SLUICE_SANDBOX_HOSTS: new URL(sandbox.url).host,
      SLUICE_SANDBOX_TIME_SCALE: String(timeScale),
    },
  });
}
