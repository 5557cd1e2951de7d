import { Readable } from 'node:stream';
import { GraphQLClient } from '../client/graphql-client.js';
import { uploadProfiles } from '../client/upload.js';
import { EXPORTS, type ExportPlan } from './world.js';

export interface Progress {
  readonly members: number | null;
  readonly skipped: number;
  readonly unchanged: number;
  readonly leavers?: number;
  readonly toSend: number;
  readonly confirmed: number;
  readonly rejected: number;
  readonly unconfirmed: number;
  readonly notSent: number;
}

export interface Run {
  readonly id: string;
  readonly state: string;
  readonly attempt: number;
  readonly export: { readonly name: string };
  readonly problem: { readonly code: string; readonly message: string } | null;
  readonly progress: Progress;
}

export interface Rejection {
  readonly email: string | null;
  readonly reason: string;
}

interface PageOf<T> {
  readonly nodes: readonly T[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null };
}

export const FINAL_STATES = ['SUCCEEDED', 'SUCCEEDED_WITH_WARNINGS', 'FAILED', 'CANCELED', 'SKIPPED'];

const PAGE_INFO = 'pageInfo { hasNextPage endCursor }';
const MAPPING = { email: 'email', firstName: 'first_name', lastName: 'last_name', phone: 'phone' };
/** No run of the story is to wait for a person. */
const NEVER_HOLD = 100;

/** The server as the story speaks to it: by the public API, like everybody. */
export class Api {
  private readonly client: GraphQLClient;

  constructor(
    private readonly server: { readonly url: string; readonly token: string },
    private readonly signal: AbortSignal,
  ) {
    this.client = new GraphQLClient(server, signal);
  }

  /** Whether this server knows what becomes of leavers; older ones keep them all. */
  async knowsLeavers(): Promise<boolean> {
    const { __type: type } = await this.client.query<{ __type: { fields: { name: string }[] } }>(
      '{ __type(name: "ExportRunProgress") { fields { name } } }',
    );
    return type.fields.some(({ name }) => name === 'leavers');
  }

  async import(segment: string, csv: string): Promise<void> {
    const options = { idColumn: 'id', segment, mode: 'replace', format: 'csv', gzip: false } as const;
    await uploadProfiles(this.server, options, Readable.from([Buffer.from(csv)]), this.signal);
  }

  async segments(): Promise<{ id: string; name: string; memberCount: number }[]> {
    const { segments } = await this.client.query<{
      segments: { nodes: { id: string; name: string; memberCount: number }[] };
    }>('{ segments(first: 100) { nodes { id name memberCount } } }');
    return segments.nodes;
  }

  /** A connection that exports can run through; what an earlier attempt left is used. */
  async ensureConnection(sandbox: { host: string; token: string }): Promise<string> {
    const { connections } = await this.client.query<{ connections: { nodes: { id: string }[] } }>(
      '{ connections(first: 1) { nodes { id } } }',
    );
    const id = connections.nodes[0]?.id ?? (await this.createConnection(sandbox));
    const { consentStatement } = await this.client.query<{ consentStatement: { version: string } }>(
      '{ consentStatement(kind: ACTIVE_CAMPAIGN) { version } }',
    );
    await this.client.query(
      `mutation ($id: ID!, $version: String!) {
        giveConsent(connectionId: $id, statementVersion: $version) { id }
        connect(connectionId: $id) { id }
        becomeExportUser(connectionId: $id) { id }
      }`,
      { id, version: consentStatement.version },
    );
    return id;
  }

  /** The story's exports, by name; those that are missing are made. */
  async ensureExports(connectionId: string): Promise<Map<string, string>> {
    const { exports } = await this.client.query<{ exports: { nodes: { id: string; name: string }[] } }>(
      '{ exports(first: 100) { nodes { id name } } }',
    );
    const ids = new Map(exports.nodes.map(({ id, name }) => [name, id]));
    const segments = await this.segments();
    const withLeavers = await this.knowsLeavers();
    for (const plan of EXPORTS) {
      if (ids.has(plan.name)) continue;
      const segmentIds = segments.filter(({ name }) => plan.segments.includes(name)).map(({ id }) => id);
      ids.set(plan.name, await this.createExport(plan, connectionId, segmentIds, withLeavers));
    }
    return ids;
  }

  async runExport(exportId: string, force: boolean): Promise<string> {
    const { runExport } = await this.client.query<{ runExport: { id: string } }>(
      'mutation ($exportId: ID!, $force: Boolean!) { runExport(exportId: $exportId, force: $force) { id } }',
      { exportId, force },
    );
    return runExport.id;
  }

  /** @returns the state after it. */
  async cancel(runId: string): Promise<string> {
    const { cancelExportRun } = await this.client.query<{ cancelExportRun: { state: string } }>(
      'mutation ($runId: ID!) { cancelExportRun(id: $runId) { state } }',
      { runId },
    );
    return cancelExportRun.state;
  }

  async unfinishedRuns(): Promise<Run[]> {
    const { exportRuns } = await this.client.query<{ exportRuns: PageOf<Run> }>(
      '{ exportRuns(first: 100) { nodes { id state } } }',
    );
    return exportRuns.nodes.filter(({ state }) => !FINAL_STATES.includes(state));
  }

  /** All runs, the latest first. */
  async runs(): Promise<Run[]> {
    const leavers = (await this.knowsLeavers()) ? 'leavers' : '';
    const figures = `members skipped unchanged ${leavers} toSend confirmed rejected unconfirmed notSent`;
    const fields = `id state attempt export { name } problem { code message } progress { ${figures} }`;
    return this.all(async (after) => {
      const { exportRuns } = await this.client.query<{ exportRuns: PageOf<Run> }>(
        `query ($after: String) { exportRuns(first: 100, after: $after) { nodes { ${fields} } ${PAGE_INFO} } }`,
        { after },
      );
      return exportRuns;
    });
  }

  async rejections(runId: string): Promise<Rejection[]> {
    return this.all(async (after) => {
      const { exportRun } = await this.client.query<{ exportRun: { rejections: PageOf<Rejection> } }>(
        `query ($runId: ID!, $after: String) { exportRun(id: $runId) {
          rejections(first: 100, after: $after) { nodes { email reason } ${PAGE_INFO} }
        } }`,
        { runId, after },
      );
      return exportRun.rejections;
    });
  }

  private async createConnection({ host, token }: { host: string; token: string }): Promise<string> {
    const input = { kind: 'ACTIVE_CAMPAIGN', displayName: 'Sandbox', host, apiKey: token };
    const { createConnection } = await this.client.query<{ createConnection: { id: string } }>(
      'mutation ($input: CreateConnectionInput!) { createConnection(input: $input) { id } }',
      { input },
    );
    return createConnection.id;
  }

  private async createExport(
    { name, listId, leavers }: ExportPlan,
    connectionId: string,
    segmentIds: readonly string[],
    withLeavers: boolean,
  ): Promise<string> {
    const input = { name, connectionId, listId: String(listId), segmentIds, mapping: MAPPING };
    const more = withLeavers ? { leavers, leaverHoldPercent: NEVER_HOLD } : {};
    const { createExport } = await this.client.query<{ createExport: { id: string } }>(
      'mutation ($input: CreateExportInput!) { createExport(input: $input) { id } }',
      { input: { ...input, ...more } },
    );
    return createExport.id;
  }

  private async all<T>(page: (after: string | null) => Promise<PageOf<T>>): Promise<T[]> {
    const all: T[] = [];
    for (let after: string | null | undefined = null; after !== undefined;) {
      const { nodes, pageInfo } = await page(after);
      all.push(...nodes);
      after = pageInfo.hasNextPage ? pageInfo.endCursor : undefined;
    }
    return all;
  }
}
