import { createSecretBox } from '../src/security/secret-box.js';
import { rotateKeys } from '../src/security/rotate-keys.js';
import { openIn } from './helpers/databases.js';
import { systemClock } from '../src/clock.js';
import { RefreshTrigger } from '../src/entities/refresh.js';
import { beginRefresh } from '../src/jobs/refreshes.js';
import { openBeside } from './helpers/beside.js';
import { exportOf, people, startEngine } from './helpers/engine.js';
import { connectedConnection } from './helpers/flows.js';
import { share } from './helpers/operations.js';
import { auditOf, signedInAs } from './helpers/people.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, temporaryFolder } from './helpers/sluice.js';
import { call, createTrigger } from './helpers/trigger-calls.js';

const OLD = Buffer.alloc(32, 1).toString('base64');
const NEW = Buffer.alloc(32, 2).toString('base64');
const RUN_ALL = 'mutation { runAllExports { export { id } } }';
const SWITCH_OFF = 'mutation ($ids: [ID!]!) { enableSchedules(ids: $ids, enabled: false) { id } }';

describe('what starts runs', () => {
  it('lets contributors start and schedule the exports of shared connections alone', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const own = await exportOf(engine, people(2));
    const other = await connectedConnection(sluice, sandbox);
    const foreign = await exportOf({ ...engine, connectionId: other }, people(2));
    await share(sluice, engine.connectionId, true);
    const contributor = await signedInAs(sluice, 'CONTRIBUTOR');
    const { runAllExports } = await contributor.query<{ runAllExports: unknown }>(RUN_ALL);
    expect(runAllExports).toEqual([{ export: { id: own } }]);
    // All or none.
    await expect(contributor.query(SWITCH_OFF, { ids: [own, foreign] })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    await contributor.query(SWITCH_OFF, { ids: [own] });
    const [off] = await auditOf(sluice, `action: "enableSchedules", subjectId: "${own}"`);
    expect(off?.detail?.changes).toMatchObject({
      schedule: { old: { enabled: true }, new: { enabled: false } },
    });
  });

  it('writes down calls of triggers and the run that they started, but no secret', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const exportId = await exportOf(engine, people(2));
    const trigger = await createTrigger(sluice, exportId);
    const { runId } = (await call(sluice, trigger, 'a')).body;
    await call(sluice, trigger, 'a');
    const events = await auditOf(sluice, 'action: "callTrigger"');
    const common = {
      actor: null,
      result: 'OK',
      clientAddress: expect.stringContaining('127.0.0.1') as unknown,
    };
    expect(events).toMatchObject([
      {
        ...common,
        subjectType: 'Trigger',
        subjectId: trigger.id,
        detail: { exportId, runId, duplicate: true },
      },
      {
        ...common,
        subjectType: 'Trigger',
        subjectId: trigger.id,
        detail: { exportId, runId, duplicate: false },
      },
      { ...common, subjectType: 'ExportRun', subjectId: runId, detail: { exportId } },
    ]);
    expect(JSON.stringify(await auditOf(sluice))).not.toContain(trigger.secret);
  });

  it('writes down from where the runs of a refresh were asked for', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    await exportOf(engine, people(2));
    await sluice.query('mutation { runRefresh { id } }');
    const clientAddress = expect.stringContaining('127.0.0.1') as unknown;
    expect(await auditOf(sluice, 'action: "runRefresh"')).toMatchObject([
      { subjectType: 'ExportRun', actor: { id: expect.any(String) as unknown }, clientAddress },
      { subjectType: 'Refresh', clientAddress },
    ]);
  });

  it('writes it down also when the server was restarted meanwhile', async () => {
    await using sandbox = await startTestSandbox();
    await using folder = await temporaryFolder();
    const server = { sandbox, folder: folder.path };
    {
      await using sluice = await startSluice(server);
      const connectionId = await connectedConnection(sluice, sandbox);
      await exportOf({ sluice, connectionId }, people(2));
      const { me } = await sluice.query<{ me: { id: string } }>('{ me { id } }');
      // As a process leaves it that is killed before it has queued anything.
      await using database = await openBeside(sluice);
      const asked = { requestedById: me.id, requestedFrom: '192.0.2.1' };
      await database.transact(({ manager }) =>
        beginRefresh({ clock: systemClock }, manager, { trigger: RefreshTrigger.ON_DEMAND, ...asked }),
      );
    }
    await using sluice = await startSluice(server);
    // Joins the one that goes on, or begins another after it: in any case that one has ended.
    await sluice.query('mutation { runRefresh { id } }');
    expect(await auditOf(sluice, 'action: "runRefresh", subjectType: "ExportRun"')).toContainEqual(
      expect.objectContaining({ clientAddress: '192.0.2.1' }),
    );
  });

  it('keeps the secrets of triggers through a rotation of keys', async () => {
    await using sandbox = await startTestSandbox();
    await using folder = await temporaryFolder();
    const withKeys = (...keys: string[]) =>
      startSluice({ sandbox, folder: folder.path, env: { SLUICE_SECRET_KEY: keys.join(',') } });
    const made = await (async () => {
      await using sluice = await withKeys(OLD);
      const connectionId = await connectedConnection(sluice, sandbox);
      const exportId = await exportOf({ sluice, connectionId }, people(2));
      return [await createTrigger(sluice, exportId), await createTrigger(sluice, exportId, 'BEARER')];
    })();
    const database = await openIn(folder.path);
    const rotation = await rotateKeys({ database, secretBox: createSecretBox([NEW, OLD]) });
    await database.close();
    // The connection, the one that signs (of the other there is only a hash) and the key of the hashes.
    expect(rotation).toEqual({ resealed: 3, current: 0, unreadable: [] });
    await using sluice = await withKeys(NEW);
    const [signing] = made;
    if (signing === undefined) throw new Error('There is no trigger.');
    expect((await call(sluice, signing, 'a')).status).toBe(202);
  });
});
