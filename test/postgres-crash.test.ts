import { openDatabases } from '../scripts/databases/databases.js';
import { exportOf, finish, held, people, wanted } from './helpers/engine.js';
import { connectedConnection, startRun } from './helpers/flows.js';
import { startProgram } from './helpers/program.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { temporaryFolder } from './helpers/sluice.js';
import { createTrigger, call } from './helpers/trigger-calls.js';

/** As `npm run build` leaves it; `npm test` builds first. */
const KEEPER = 'dist/scripts/databases/keeper.js';
const BATCHES = 60;
const COUNT = 250 * BATCHES;
/** A batch every 60 ms. */
const TIME_SCALE = 10;
/** A Postgres of its own has to be made first; and what was lost is tried again after ten seconds. */
const PATIENCE_MS = 120_000;

describe('a Postgres that crashes', () => {
  it(
    'in the middle of a run is waited for: the run ends right by itself, and no call is answered that has no run',
    async () => {
      await using databases = await openDatabases('postgres', KEEPER);
      await using folder = await temporaryFolder();
      await using fresh = await databases.create(folder.path);
      await using sandbox = await startTestSandbox({ timeScale: TIME_SCALE });
      const env = {
        DATABASE_URL: fresh.url,
        SLUICE_DATA_FOLDER: folder.path,
        SLUICE_SANDBOX_TIME_SCALE: String(TIME_SCALE),
      };
      await using program = await startProgram(folder.path, sandbox, { env });
      const { sluice } = program;
      const connectionId = await connectedConnection(sluice, sandbox);
      const exportId = await exportOf({ sluice, connectionId }, people(COUNT));
      const trigger = await createTrigger(sluice, exportId);

      const middle = sandbox.next('accepted', () => sandbox.batches().length >= BATCHES / 3);
      const id = await startRun(sluice, exportId);
      const ended = finish(sluice, id);
      await middle;
      const crashed = databases.crash?.();
      const answers = await Promise.all(['a', 'b', 'c'].map((name) => call(sluice, trigger, name)));
      await crashed;

      expect(await ended).toMatchObject({
        state: 'SUCCEEDED',
        problem: null,
        progress: { members: COUNT, toSend: COUNT, confirmed: COUNT, unconfirmed: 0, notSent: 0 },
      });
      expect(held(sandbox)).toEqual(wanted(COUNT));
      expect(sandbox.summary().invariants.overlapsNotExcused).toBe(0);
      for (const { status, headers, body } of answers) {
        if (status === 202)
          expect(await finish(sluice, body.runId ?? '')).toMatchObject({ state: 'SUCCEEDED' });
        else
          expect({ status, retryAfter: headers.get('retry-after') }).toEqual({
            status: 503,
            retryAfter: '10',
          });
      }
      const again = await call(sluice, trigger, 'a');
      expect(await finish(sluice, again.body.runId ?? '')).toMatchObject({ state: 'SUCCEEDED' });
    },
    PATIENCE_MS,
  );
});
