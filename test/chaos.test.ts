import { UsageError } from '../scripts/client/failure.js';
import { deal } from '../scripts/chaos/deck.js';
import { judgeSandbox } from '../scripts/chaos/judge.js';
import { readOptions } from '../scripts/chaos/options.js';
import { POINTS } from '../scripts/chaos/points.js';
import { Random } from '../scripts/chaos/random.js';
import { StatementWatcher } from '../scripts/chaos/statements.js';
import { Violations } from '../scripts/chaos/violations.js';
import { LISTS, World } from '../scripts/chaos/world.js';
import { emptyDatabaseIn } from './helpers/databases.js';
import { runScript } from './helpers/script.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { temporaryFolder } from './helpers/sluice.js';

interface JsonResult {
  readonly kills: number;
  readonly byPoint: Record<string, number>;
  readonly runs: Record<string, number>;
  readonly violations: { rule: string; detail: string }[];
}

const SOME_KILLS = 6;
/** It takes some 15 s on a machine with nothing else to do. */
const PATIENCE_MS = 120_000;

describe('npm run chaos', () => {
  it(
    'kills the server where it says, and finds nothing wrong',
    async () => {
      await using folder = await temporaryFolder();
      const address = await emptyDatabaseIn(folder.path);
      const database = address.kind === 'postgres' ? ['--database', address.url] : [];
      const args = ['--kills', String(SOME_KILLS), '--seed', '12', '--json', ...database];
      const { code, output, errors } = await runScript('chaos/main', args);
      expect({ errors, code, violations: (JSON.parse(output) as JsonResult).violations }).toEqual({
        errors: '',
        code: 0,
        violations: [],
      });
      const { kills, byPoint, runs } = JSON.parse(output) as JsonResult;
      expect(kills).toBeGreaterThanOrEqual(SOME_KILLS);
      expect(Object.values(byPoint)).not.toContain(0);
      expect(runs).not.toEqual({});
    },
    PATIENCE_MS,
  );

  it('deals every point, with the kills of the first start first', () => {
    const cards = deal(200, new Random(1));
    expect(cards).toHaveLength(200);
    expect(new Set(cards.map(({ point }) => point.name))).toEqual(new Set(POINTS.map(({ name }) => name)));
    const lastFirstStart = cards.findLastIndex(({ point }) => point.scene === 'FIRST_START');
    expect(cards.findIndex(({ point }) => point.scene !== 'FIRST_START')).toBe(lastFirstStart + 1);
    expect(cards[lastFirstStart]?.point.name).toBe('after the commit of the migration');
  });

  it('knows a transaction by what it writes', () => {
    const watcher = new StatementWatcher();
    const run = '01a20b1b-e4d2-7596-ba3d-d5a2d67ffee7';
    const look = (sql: string, ...parameters: unknown[]) => watcher.look({ sql, parameters });
    const topicsOfCommit = () => [...look('COMMIT').topics];

    look(
      'UPDATE "export_runs" SET "phase" = ?, "sequence" = "sequence" + 1 WHERE "id" = ?',
      'PREPARING',
      run,
    );
    expect(topicsOfCommit()).toEqual(['PREPARING', 'ANYTHING']);
    look('UPDATE "export_runs" SET "phase" = ?, "sequence" = "sequence" + 1 WHERE "id" = ?', 'SENDING', run);
    expect(topicsOfCommit()).toEqual(['PREPARED', 'ANYTHING']);

    const receipt = 'a20b1b01-e4d2-4596-8a3d-d5a2d67ffee7';
    const batches = JSON.stringify([
      [7, 'ACCEPTED', 250, receipt],
      [8, 'SETTLED', 250, 'b20b1b01-e4d2-4596-8a3d-d5a2d67ffee7'],
    ]);
    const accept = 'UPDATE "batches" SET "state" = "now"."state" FROM (SELECT 1) AS "now"';
    expect([...look(accept, batches).topics]).toEqual(['RECEIPT', 'DECISION']);
    expect(look('RELEASE "piece"; COMMIT')).toMatchObject({ isCommit: true, receipts: [receipt] });
    look(accept, batches);
    look('ROLLBACK');
    expect(look('COMMIT')).toMatchObject({ receipts: [] });

    const close = 'UPDATE "export_runs" SET "state" = ?, "phase" = NULL WHERE "id" = ? AND "state" IN (?)';
    expect([...look(close, 'CANCELED', run, 'CANCELING').topics]).toEqual(['CLOSE', 'CLOSE_CANCELED']);
  });

  it('finds who is missing, who is a stranger, whose values differ and who was put back', async () => {
    await using sandbox = await startTestSandbox({ lists: LISTS });
    const world = new World(new Random(1));
    const stranger = { email: 'stranger@example.com', lists: [1] };
    const different = { email: 'own-a-1@example.com', firstName: 'Other', lastName: 'Last 0', lists: [1] };
    const back = {
      email: 'own-a-2@example.com',
      firstName: 'First 1',
      lastName: 'Last 1',
      phone: '555-1',
      lists: [1],
    };
    sandbox.addContacts([stranger, different, back]);
    world.noteOptOut(1, back.email);

    const violations = new Violations();
    judgeSandbox(sandbox, world, { knowsLeavers: true, reportedOptOuts: new Set() }, violations);
    const found = violations.list().map(({ rule, detail }) => `${rule}: ${detail}`);
    expect(found).toContain(
      'everybody who is wanted is there: export A wants all-1@example.com on list 1: there is no such contact',
    );
    expect(found.filter((text) => !text.startsWith('everybody who is wanted is there'))).toEqual([
      'contacts have the values of the profile: export A wants own-a-1@example.com on list 1: firstName is "Other", not "First 0"',
      'nobody is there who was never wanted: stranger@example.com on list 1 has status 1',
      'nobody who opted out is active again: own-a-2@example.com on list 1 has status 1',
    ]);
  });

  it.each([
    [['--kils', '5'], '--kils'],
    [['--kills', '0'], '--kills wants a whole number from 1 to 10,000, not "0"'],
    [['--seed', 'x'], '--seed wants a whole number'],
    [['--database', 'sqlite'], '--database wants the address of a Postgres, postgres://…, not "sqlite"'],
    [['200'], '"200" is not understood'],
  ])('refuses %j', (args, message) => {
    expect(() => readOptions(args)).toThrow(UsageError);
    expect(() => readOptions(args)).toThrow(message);
  });
});
