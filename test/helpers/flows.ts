import type { ExportRunState } from '../../src/entities/export-run.js';
import type { Sluice, Variables } from './sluice.js';

/** A destination as these flows need it; the sandbox is one. */
export interface Reachable {
  readonly host: string;
  readonly token: string;
}

const MAPPING = { email: 'email', firstName: 'first_name', lastName: 'last_name', phone: 'phone' };

/** A connection that exports can run through: agreed to, connected, with an export user. Answers its id. */
export async function connectedConnection(sluice: Sluice, { host, token }: Reachable): Promise<string> {
  const input = { kind: 'ACTIVE_CAMPAIGN', displayName: 'Test account', host, apiKey: token };
  const { createConnection } = await sluice.query<{ createConnection: { id: string } }>(
    'mutation ($input: CreateConnectionInput!) { createConnection(input: $input) { id } }',
    { input },
  );
  const { id } = createConnection;
  const { consentStatement } = await sluice.query<{ consentStatement: { version: string } }>(
    '{ consentStatement(kind: ACTIVE_CAMPAIGN) { version } }',
  );
  await sluice.query(
    `mutation ($id: ID!, $version: String!) {
      giveConsent(connectionId: $id, statementVersion: $version) { id }
      connect(connectionId: $id) { id }
      becomeExportUser(connectionId: $id) { id }
    }`,
    { id, version: consentStatement.version },
  );
  return id;
}

/** The id of the segment of this name; an import makes it. @throws if there is none. */
export async function segmentNamed(sluice: Sluice, name: string): Promise<string> {
  const { segments } = await sluice.query<{ segments: { nodes: { id: string; name: string }[] } }>(
    '{ segments(first: 100) { nodes { id name } } }',
  );
  const found = segments.nodes.find((segment) => segment.name === name);
  if (found === undefined) throw new Error(`There is no segment ${name}.`);
  return found.id;
}

export interface ExportWishes {
  readonly connectionId: string;
  readonly segmentIds: readonly string[];
  readonly name?: string;
  readonly listId?: string;
  readonly mapping?: Variables;
  readonly leavers?: 'KEEP' | 'UNSUBSCRIBE';
  readonly leaverHoldPercent?: number;
  readonly runAutomations?: boolean;
  readonly schedule?: object;
}

/** An export to list 1 with every field mapped, where nothing else is wished. Answers its id. */
export async function createExportOf(sluice: Sluice, wishes: ExportWishes): Promise<string> {
  const input = { name: 'Test export', listId: '1', mapping: MAPPING, ...wishes };
  const { createExport } = await sluice.query<{ createExport: { id: string } }>(
    'mutation ($input: CreateExportInput!) { createExport(input: $input) { id } }',
    { input },
  );
  return createExport.id;
}

/** The run as its final event tells it. */
export interface FinishedRun {
  readonly id: string;
  readonly state: ExportRunState;
  readonly problem: { code: string; message: string; remedy: string | null } | null;
  readonly attempt: number;
  readonly progress: { readonly members: number | null } & Readonly<
    Record<
      | 'skipped'
      | 'unchanged'
      | 'leavers'
      | 'toSend'
      | 'accepted'
      | 'confirmed'
      | 'rejected'
      | 'unconfirmed'
      | 'notSent',
      number
    >
  >;
}

/** Starts a run; answers its id. */
export async function startRun(sluice: Sluice, exportId: string): Promise<string> {
  const { runExport } = await sluice.query<{ runExport: { id: string } }>(
    'mutation ($exportId: ID!) { runExport(exportId: $exportId) { id } }',
    { exportId },
  );
  return runExport.id;
}

/** Watches the run until its stream ends, which is with its final state. */
export async function runEnd(sluice: Sluice, runId: string): Promise<FinishedRun> {
  let last: FinishedRun | undefined;
  const events = sluice.subscribe<{ exportRunChanged: FinishedRun }>(
    `subscription ($runId: ID!) {
      exportRunChanged(runId: $runId) {
        id state attempt
        problem { code message remedy }
        progress { members skipped unchanged leavers toSend accepted confirmed rejected unconfirmed notSent }
      }
    }`,
    { runId },
  );
  for await (const { exportRunChanged } of events) last = exportRunChanged;
  if (last === undefined) throw new Error(`The stream of run ${runId} ended without an event.`);
  return last;
}

/** Starts a run and watches it to its end. */
export async function runToEnd(sluice: Sluice, exportId: string): Promise<FinishedRun> {
  return runEnd(sluice, await startRun(sluice, exportId));
}
