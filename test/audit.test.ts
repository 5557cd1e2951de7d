import type { DataSource } from 'typeorm';
import type { Sandbox } from '../sandbox/sandbox.js';
import { OPERATIONS } from '../src/security/permissions.js';
import { connectIn, onPostgres, onSqlite } from './helpers/databases.js';
import { connectionCalls, refusalOf } from './helpers/connection-calls.js';
import {
  makeWorlds,
  SAMPLES,
  STATE_FORBIDS,
  type GraphQLOperation,
  type World,
} from './helpers/operations.js';
import { createManualClock } from './helpers/manual-clock.js';
import { auditOf, newTokenOf, newUser, revoke, setDisabled, signedInAs } from './helpers/people.js';
import { RawClient } from './helpers/raw-client.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { bearer, startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

const FIRST_ADMINISTRATOR = '00000000-0000-7000-8000-000000000000';
const MUTATIONS = (Object.keys(OPERATIONS) as GraphQLOperation[]).filter((name) =>
  name.startsWith('Mutation.'),
);

describe('the audit trail', () => {
  let sandbox: Sandbox & AsyncDisposable;
  let sluice: Sluice;
  let world: World;
  let viewer: Awaited<ReturnType<typeof signedInAs>>;

  beforeAll(async () => {
    sandbox = await startTestSandbox();
    sluice = await startSluice({ sandbox });
    const [shared] = await makeWorlds(sluice, sandbox);
    if (shared === undefined) throw new Error('There is no world.');
    world = shared;
    viewer = await signedInAs(sluice, 'VIEWER');
  }, 60_000);
  afterAll(async () => {
    await sluice.stop();
    await sandbox[Symbol.asyncDispose]();
  });

  it.each(MUTATIONS)(
    'has %s, done or refused, with who, to what, the result, and from where',
    async (operation) => {
      const action = operation.replace('Mutation.', '');
      const { document, variables } = await SAMPLES[operation](world);
      const refused = await viewer.request(document, variables);
      expect(refused.body.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
      const { body } = await sluice.request(document, variables);
      const result = STATE_FORBIDS[operation] ?? 'OK';
      expect(body.errors?.[0]?.extensions.code ?? 'OK').toBe(result);

      const events = await auditOf(sluice, `action: "${action}"`);
      const denied = events.find(({ actor }) => actor?.id === viewer.userId);
      // Of what it started besides there are events too.
      const done = events.find((event) => event !== denied && event.subjectType === denied?.subjectType);
      const subjectId = expect.stringMatching(/^[0-9a-f-]{36}$|^-$/) as string;
      const subjectType = expect.stringMatching(
        /^(User|ApiToken|Segment|Profile|Connection|Export|ExportRun|Refresh|RefreshSchedule|Trigger)$/,
      ) as string;
      const clientAddress = expect.stringContaining('127.0.0.1') as string;
      const common = { action, subjectType, subjectId, clientAddress };
      expect(done).toMatchObject({ ...common, actor: { id: FIRST_ADMINISTRATOR }, result });
      expect(denied).toMatchObject({ ...common, actor: { id: viewer.userId }, result: 'FORBIDDEN' });
      expect(denied?.subjectType).toBe(done?.subjectType);
    },
  );

  it('has the fields that changed, with their old and new values', async () => {
    const { id } = await connectionCalls(sluice).create({ host: sandbox.host, apiKey: sandbox.token });
    await connectionCalls(sluice).update(id, { displayName: 'Renamed', profileLimit: 7 });
    await connectionCalls(sluice).share(id, 'ADMINISTRATORS_AND_CONTRIBUTORS');
    const [shared, updated] = await auditOf(sluice, `subjectId: "${id}"`);
    expect(updated?.detail).toEqual({
      changes: {
        displayName: { old: 'Newsletter account', new: 'Renamed' },
        profileLimit: { old: 1_000_000, new: 7 },
      },
    });
    expect(shared?.detail).toEqual({
      changes: { sharing: { old: 'ADMINISTRATORS', new: 'ADMINISTRATORS_AND_CONTRIBUTORS' } },
    });
  });

  it('tells that a key changed, and nothing of it', async () => {
    const { id } = await connectionCalls(sluice).create({ host: sandbox.host, apiKey: 'first-planted-key' });
    await connectionCalls(sluice).update(id, { apiKey: 'other-planted-key' });
    const events = await auditOf(sluice, `subjectId: "${id}"`);
    expect(events.map(({ detail }) => detail?.changes?.apiKey)).toEqual([
      { old: '***', new: '***' },
      { old: null, new: '***' },
    ]);
    expect(JSON.stringify(events)).not.toContain('planted');
  });

  it('has a refused connect, and what it made of the connection', async () => {
    const { id } = await connectionCalls(sluice).create({
      host: sandbox.host,
      apiKey: 'a-key-that-is-wrong',
    });
    await connectionCalls(sluice).giveConsent(id);
    expect(await refusalOf(connectionCalls(sluice).connect(id))).toMatchObject({ code: 'CONNECTION_FAILED' });
    expect((await auditOf(sluice, `subjectId: "${id}"`)).slice(0, 2)).toMatchObject([
      { action: 'connect', result: 'CONNECTION_FAILED', actor: { id: FIRST_ADMINISTRATOR } },
      {
        action: 'connectionState',
        actor: null,
        detail: { changes: { state: { old: 'DRAFT', new: 'FAILING' } } },
      },
    ]);
  });

  it('has how people move runs', async () => {
    const { document, variables } = await SAMPLES['Mutation.runExport'](world);
    const { runExport } = await sluice.query<{ runExport: { id: string } }>(document, variables);
    await sluice.query('mutation ($id: ID!) { cancelExportRun(id: $id) { id } }', { id: runExport.id });
    const events = await auditOf(sluice, `subjectId: "${runExport.id}"`);
    expect(events).toMatchObject([
      { action: 'cancelExportRun', subjectType: 'ExportRun', result: 'OK' },
      {
        action: 'runExport',
        detail: { exportId: variables?.id, changes: { state: { old: null, new: 'QUEUED' } } },
      },
    ]);
  });

  it('has what segments and members an export got', async () => {
    const { document, variables } = await SAMPLES['Mutation.createExport'](world);
    const { createExport } = await sluice.query<{ createExport: { id: string } }>(document, variables);
    await sluice.query(
      'mutation ($id: ID!) { updateExport(id: $id, input: { leavers: UNSUBSCRIBE, name: "Renamed" }) { id } }',
      createExport,
    );
    const [updated, created] = await auditOf(sluice, `subjectId: "${createExport.id}"`);
    expect(updated?.detail?.changes).toEqual({
      leavers: { old: 'KEEP', new: 'UNSUBSCRIBE' },
      name: { old: 'New', new: 'Renamed' },
    });
    expect(created?.detail?.changes).toMatchObject({
      segmentIds: { old: null, new: [world.segmentId] },
      connectionId: { old: null, new: world.connectionId },
    });
  });

  it('has imports with their figures, and refused ones', async () => {
    await sluice.importCsv('id,email\n1,planted@example.com\n', { segment: 'Audited' });
    await expect(sluice.importCsv('nothing', { id: 'id' })).rejects.toThrow('BAD_USER_INPUT');
    const events = await auditOf(sluice, 'action: "importProfiles"');
    expect(events.slice(0, 4).map(({ result }) => result)).toEqual([
      'BAD_USER_INPUT',
      'STARTED',
      'OK',
      'STARTED',
    ]);
    expect(events[2]).toMatchObject({
      actor: { id: FIRST_ADMINISTRATOR },
      subjectType: 'Profile',
      detail: { segment: 'Audited', received: 1, rejected: 0 },
    });
    expect(JSON.stringify(events)).not.toContain('planted@');
  });

  it('has a refused import of a viewer', async () => {
    await fetch(`${sluice.url}/profiles?id=id`, {
      method: 'PUT',
      headers: { 'content-type': 'text/csv', ...bearer(viewer.token) },
      body: 'id\n1\n',
    });
    const [event] = await auditOf(sluice, 'action: "importProfiles"');
    expect(event).toMatchObject({ actor: { id: viewer.userId }, result: 'FORBIDDEN' });
  });

  it('has refused sign-ins at both doors, and as whom if that is known', async () => {
    const userId = await newUser(sluice, 'VIEWER');
    const { id, token } = await newTokenOf(sluice, userId);
    await revoke(sluice, id);
    await sluice.request('{ me { id } }', {}, { token: 'somebody-elses-token-0123' });
    await sluice.request('{ me { id } }', {}, { token });
    const socket = new RawClient(sluice);
    await socket.init('Bearer somebody-elses-token-4567');
    await socket.closed;
    const events = (await auditOf(sluice, 'action: "signIn"')).slice(0, 3);
    expect(events).toMatchObject([
      { actor: null, result: 'UNAUTHENTICATED', detail: { reason: 'The token is not valid.' } },
      { actor: { id: userId }, subjectId: userId, detail: { reason: 'The token was revoked.' } },
      { actor: null, subjectId: '-', clientAddress: expect.stringContaining('127.0.0.1') as string },
    ]);
    expect(JSON.stringify(events)).not.toContain('somebody-elses');
  });

  it('is filtered by actor, subject, action and time, and read page by page', async () => {
    const other = await signedInAs(sluice, 'ADMINISTRATOR');
    const target = await newUser(other, 'VIEWER');
    await setDisabled(other, target, true);
    expect(await auditOf(sluice, `actorId: "${other.userId}"`)).toHaveLength(2);
    expect(await auditOf(sluice, `actorId: "${other.userId}", action: "createUser"`)).toHaveLength(1);
    expect(await auditOf(sluice, `subjectId: "${target}", subjectType: "User"`)).toHaveLength(2);
    expect(await auditOf(sluice, `subjectId: "${target}", subjectType: "Export"`)).toHaveLength(0);
    const [last, first] = await auditOf(sluice, `subjectId: "${target}"`);
    const since = await auditOf(sluice, `subjectId: "${target}", from: "${last?.at ?? ''}"`);
    expect(since.map(({ id }) => id)).toContain(last?.id);
    const until = await auditOf(sluice, `subjectId: "${target}", to: "${first?.at ?? ''}"`);
    expect(until.map(({ id }) => id)).not.toContain(first?.id);

    const page = async (after: string | null) => {
      const { auditEvents } = await sluice.query<{
        auditEvents: { nodes: { id: string }[]; pageInfo: { endCursor: string | null }; totalCount: number };
      }>(
        `query ($after: String, $id: ID) { auditEvents(first: 1, after: $after, subjectId: $id) {
          totalCount nodes { id } pageInfo { endCursor } } }`,
        { after, id: target },
      );
      return auditEvents;
    };
    const { nodes, pageInfo, totalCount } = await page(null);
    expect(totalCount).toBe(2);
    expect([...nodes, ...(await page(pageInfo.endCursor)).nodes].map(({ id }) => id)).toEqual([
      last?.id,
      first?.id,
    ]);
  });
});

describe('audit events in the database', () => {
  const DAY_MS = 24 * 60 * 60_000;

  const insert = (source: DataSource, id: string, ageDays: number, verb = 'INSERT') =>
    source.query(
      `${verb} INTO "audit_events" ("id", "at", "action", "subjectType", "subjectId", "result")
       VALUES ($1, $2, 'test', 'User', '-', 'OK')`,
      [id, new Date(Date.now() - ageDays * DAY_MS).toISOString()],
    );

  const idsIn = async (source: DataSource) =>
    (
      await source.query<{ id: string }[]>(
        `SELECT "id" FROM "audit_events" WHERE "action" = 'test' ORDER BY "id"`,
      )
    ).map(({ id }) => id);

  it('refuse every change, and deletions that come too early', async () => {
    await using sluice = await startSluice();
    await using file = await connectIn(sluice.folder);
    await insert(file, 'a', 399);
    await insert(file, 'b', 401);
    for (const id of ['a', 'b']) {
      await expect(
        file.query(`UPDATE "audit_events" SET "result" = 'X' WHERE "id" = $1`, [id]),
      ).rejects.toThrow('audit events are never changed');
    }
    await expect(file.query(`DELETE FROM "audit_events"`)).rejects.toThrow('AUDIT_RETENTION_DAYS');
    await file.query(`DELETE FROM "audit_events" WHERE "id" = 'b'`);
    expect(await idsIn(file)).toEqual(['a']);
  });

  onSqlite('are not replaced either', async () => {
    await using sluice = await startSluice();
    await using file = await connectIn(sluice.folder);
    await insert(file, 'a', 500);
    await expect(insert(file, 'a', 500, 'INSERT OR REPLACE')).rejects.toThrow(
      'audit events are never changed',
    );
  });

  onPostgres('are not truncated either', async () => {
    await using sluice = await startSluice();
    await using source = await connectIn(sluice.folder);
    await expect(source.query('TRUNCATE "audit_events"')).rejects.toThrow('audit events are never changed');
  });

  it('are kept as long as the setting says, and removed at the first start after that', async () => {
    await using folder = await temporaryFolder();
    const env = { AUDIT_RETENTION_DAYS: '10' };
    await (await startSluice({ folder: folder.path, env })).stop();
    await using file = await connectIn(folder.path);
    await insert(file, 'a', 9);
    await insert(file, 'b', 11);
    await expect(file.query(`DELETE FROM "audit_events" WHERE "id" = 'a'`)).rejects.toThrow(
      'AUDIT_RETENTION_DAYS',
    );
    await (await startSluice({ folder: folder.path, env })).stop();
    expect(await idsIn(file)).toEqual(['a']);
  });
});

describe('who guesses tokens', () => {
  it('is written down 60 times a minute and then only counted', async () => {
    const clock = createManualClock();
    // More than may fail, so that the door does not turn them away before anybody looks at their token.
    await using sluice = await startSluice({ clock, env: { SLUICE_RATE_FAILED_SIGN_INS: '1000' } });
    const guess = () => sluice.request('{ me { id } }', {}, { token: 'somebody-elses-token-0123' });
    await Promise.all(Array.from({ length: 80 }, guess));
    expect(await auditOf(sluice, 'action: "signIn"')).toHaveLength(60);
    await clock.pass(60_000);
    await guess();
    const [latest, ...earlier] = await auditOf(sluice, 'action: "signIn"');
    expect(latest?.detail).toEqual({ reason: 'The token is not valid.', unwrittenBefore: 20 });
    expect(earlier).toHaveLength(60);
  });
});
