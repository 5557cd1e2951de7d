import { setTimeout as pause } from 'node:timers/promises';
import { Failure } from '../client/failure.js';
import type { GraphQLClient } from '../client/graphql-client.js';
import { bytesOf, type ProfilesFile } from '../client/profiles-file.js';
import { uploadProfiles, type ImportReport, type Server } from '../client/upload.js';
import { counted, duration } from '../terminal/format.js';
import type { ColumnMapping } from './meant.js';
import type { Narrator } from './narrator.js';
import { watchRun, type FinishedRun } from './watch-run.js';

/** What the demo has to do with: the people, the destination account, and who tells the tale. */
export interface Cast {
  readonly file: ProfilesFile;
  readonly idColumn: string;
  readonly mapping: ColumnMapping;
  readonly sandbox: { readonly host: string; readonly apiKey: string };
  readonly timeScale: number;
  readonly narrator: Narrator;
}

const SEGMENT = 'Everybody';
/** ActiveCampaign takes five calls a second, and what is asked for by hand is not held back. People are slower anyway. */
const BREATH_MS = 1_000;

/** Does what a person does who uses Sluice for the first time, by the public API alone. */
export async function play(
  server: Server,
  client: GraphQLClient,
  cast: Cast,
  signal: AbortSignal,
): Promise<{ report: ImportReport; run: FinishedRun }> {
  const report = await importPeople(server, cast, signal);
  const segmentId = await findSegment(client, cast);
  const breathe = () => pause(BREATH_MS / cast.timeScale, undefined, { signal });
  const connectionId = await connectAccount(client, cast);
  await breathe();
  const listId = await chooseList(client, cast, connectionId);
  const exportId = await createExport(client, cast, { connectionId, listId, segmentId });
  await breathe();
  const { runExport } = await client.query<{ runExport: { id: string } }>(
    'mutation ($exportId: ID!) { runExport(exportId: $exportId) { id } }',
    { exportId },
  );
  return { report, run: await watchRun(client, runExport.id, cast.narrator) };
}

/** `PUT /profiles` with a segment: the import makes it, and these profiles its members. */
async function importPeople(
  server: Server,
  { file, idColumn, narrator }: Cast,
  signal: AbortSignal,
): Promise<ImportReport> {
  const startedAt = performance.now();
  const options = { idColumn, segment: SEGMENT, format: file.format, gzip: file.gzip };
  const report = await uploadProfiles(server, options, bytesOf(file), signal);
  const took = duration(performance.now() - startedAt);
  narrator.step(`${counted(report.received, 'row')} imported in ${took}`);
  for (const { line, message } of report.errors.slice(0, 3)) {
    narrator.note(`line ${line} cannot be taken: ${message}`);
  }
  return report;
}

async function findSegment(client: GraphQLClient, { narrator }: Cast): Promise<string> {
  const { segments } = await client.query<{
    segments: { nodes: { id: string; name: string; kind: string; memberCount: number }[] };
  }>('{ segments { nodes { id name kind memberCount } } }');
  const segment = segments.nodes.find(({ name }) => name === SEGMENT);
  if (segment === undefined) throw new Failure(`The import made no segment “${SEGMENT}”.`);
  const { kind, memberCount } = segment;
  narrator.step(`${kind.toLowerCase()} segment “${SEGMENT}” holds ${counted(memberCount, 'profile')}`);
  return segment.id;
}

/** Creates the connection, agrees to the statement, tests the key and puts it to use. */
async function connectAccount(client: GraphQLClient, { sandbox, narrator }: Cast): Promise<string> {
  const input = { kind: 'ACTIVE_CAMPAIGN', displayName: 'Sandbox', ...sandbox };
  const { createConnection } = await client.query<{ createConnection: { id: string; state: string } }>(
    'mutation ($input: CreateConnectionInput!) { createConnection(input: $input) { id state } }',
    { input },
  );
  const { id, state } = createConnection;
  narrator.step(`connection to ${sandbox.host} created: ${state}`);

  const { consentStatement } = await client.query<{ consentStatement: { version: string; text: string } }>(
    '{ consentStatement(kind: ACTIVE_CAMPAIGN) { version text } }',
  );
  const { version, text } = consentStatement;
  await client.query(
    'mutation ($id: ID!, $version: String!) { giveConsent(connectionId: $id, statementVersion: $version) { id } }',
    { id, version },
  );
  narrator.step(`consent given to statement ${version}, which begins:`);
  narrator.note(gistOf(text));

  const { connect } = await client.query<{ connect: { state: string; problem: { message: string } | null } }>(
    'mutation ($id: ID!) { connect(connectionId: $id) { state problem { message } } }',
    { id },
  );
  const { becomeExportUser } = await client.query<{
    becomeExportUser: { exportUser: { displayName: string } };
  }>('mutation ($id: ID!) { becomeExportUser(connectionId: $id) { exportUser { displayName } } }', { id });
  const { displayName } = becomeExportUser.exportUser;
  narrator.step(`key, host and permissions checked: ${connect.state}; exports run as ${displayName}`);
  return id;
}

/** The first sentence. */
function gistOf(text: string): string {
  return `“${/^.*?[.!?](?=\s|$)/s.exec(text)?.[0] ?? text}”`;
}

async function chooseList(client: GraphQLClient, { narrator }: Cast, connectionId: string): Promise<string> {
  const { destinationLists } = await client.query<{ destinationLists: { id: string; name: string }[] }>(
    'query ($id: ID!) { destinationLists(connectionId: $id) { id name } }',
    { id: connectionId },
  );
  const [list] = destinationLists;
  if (list === undefined) throw new Failure('The account has no list.');
  const names = destinationLists.map(({ id, name }) => `${id} ${name}`).join(', ');
  narrator.step(`${counted(destinationLists.length, 'list')} at the destination: ${names}`);
  return list.id;
}

async function createExport(
  client: GraphQLClient,
  { mapping, narrator }: Cast,
  { connectionId, listId, segmentId }: { connectionId: string; listId: string; segmentId: string },
): Promise<string> {
  const input = { name: 'Demo', connectionId, listId, segmentIds: [segmentId], mapping };
  const { createExport: made } = await client.query<{
    createExport: { id: string; name: string; list: { name: string } };
  }>('mutation ($input: CreateExportInput!) { createExport(input: $input) { id name list { name } } }', {
    input,
  });
  const fields = Object.entries(mapping).map(([field, column]) => `${column} → ${field}`);
  narrator.step(`export “${made.name}” to list “${made.list.name}” created: ${fields.join(', ')}`);
  return made.id;
}
