import { once } from 'node:events';
import { chmod, readdir } from 'node:fs/promises';
import pg from 'pg';
import { UsageError } from '../scripts/client/failure.js';
import type { Bench, Measurement } from '../scripts/bench/bench.js';
import { readOptions } from '../scripts/bench/options.js';
import { crowd, personOf } from '../scripts/bench/people.js';
import { judge, medians } from '../scripts/bench/verdict.js';
import { createPostgresDatabase } from './helpers/postgres.js';
import { type Finished, lineOf, runScript, startScript } from './helpers/script.js';
import { temporaryFolder } from './helpers/sluice.js';

const measured = (figures: Record<string, number | null>): Measurement => ({
  ...{ wallSeconds: 1, requests: null, importerCalls: null, peakRssMb: null, ratioToBareLoop: null },
  ...figures,
});

describe('npm run bench', () => {
  it('measures a first run, from the import to the last confirmation, and ends with one line of JSON', async () => {
    const { code, output, errors } = await runScript('bench/main', [
      ...['first-run', '--profiles', '600', '--repeat', '1'],
    ]);
    expect({ code, errors: code === 0 ? '' : errors }).toEqual({ code: 0, errors: '' });
    const result = JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
    expect(result).toMatchObject({
      ...{ bench: 'first-run', profiles: 600, importerCalls: 3 },
      machine: { node: process.version, platform: process.platform },
    });
    expect(result.profilesPerSecond).toBeGreaterThan(0);
    expect(result.ratioToBareLoop).toBeGreaterThan(0);
    expect(result.runs).toHaveLength(1);
    expect(Object.keys(result.goal as object)).toEqual([
      'profilesPerSecond',
      'peakRssMb',
      'peakRssToSmaller',
    ]);
  }, 60_000);

  it('says with exit code 1 that a goal is missed, if it is to check', async () => {
    // So few that the start of the process outweighs them.
    const args = ['import', '--profiles', '100', '--repeat', '1', '--check'];
    const { code, output } = await runScript('bench/main', args);
    expect(output).toMatch(/rowsPerSecond .* at least 60,000: MISSED/);
    expect(code).toBe(1);
  }, 60_000);

  it('says with exit code 2 what is wrong with the command line', async () => {
    const { code, errors } = await runScript('bench/main', ['import', '--database', 'oracle']);
    expect(errors).toContain('--database wants sqlite, postgres or postgres://…, not "oracle"');
    expect(code).toBe(2);
  });
});

describe('npm run bench -- NAME --database', () => {
  /** Readable by the user as whom Postgres runs, where the tests run as root. */
  const openFolder = async () => {
    const folder = await temporaryFolder();
    await chmod(folder.path, 0o755);
    return folder;
  };
  const figures = ({ output }: Finished) =>
    JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;

  it('measures on a Postgres that is started for it, with goals of its own, and removed with all its data', async () => {
    await using folder = await openFolder();
    const args = ['first-run', '--profiles', '600', '--repeat', '1', '--database', 'postgres'];
    const finished = await runScript('bench/main', args, { env: { TMPDIR: folder.path } });
    expect({ ...finished, output: '', errors: finished.code === 0 ? '' : finished.errors }).toEqual({
      ...{ code: 0, output: '', errors: '' },
    });
    expect(figures(finished)).toMatchObject({
      ...{ bench: 'first-run', profiles: 600, importerCalls: 3 },
      database: expect.stringMatching(/^Postgres 18\./) as string,
      goal: { profilesPerSecond: { atLeast: 20_000 } },
    });
    expect(await readdir(folder.path)).toEqual([]);
  }, 120_000);

  it('leaves nothing of it behind at Ctrl-C', async () => {
    await using folder = await openFolder();
    const args = ['first-run', '--database', 'postgres'];
    const bench = startScript('bench/main', args, { env: { TMPDIR: folder.path } });
    await once(bench.process.stderr, 'data');
    expect(await readdir(folder.path)).toContainEqual(expect.stringMatching(/^sluice-postgres-/));
    bench.process.kill('SIGINT');
    const { code, errors } = await bench.finished;
    expect({ code, errors }).toEqual({
      code: 130,
      errors: expect.stringContaining('nothing is left behind') as string,
    });
    expect(await readdir(folder.path)).toEqual([]);
  }, 120_000);

  it('has a Postgres that goes with whoever started it, however that ended', async () => {
    await using folder = await openFolder();
    const keeper = startScript('databases/keeper', [], { env: { TMPDIR: folder.path } });
    const url = await lineOf(keeper, /"url":"([^"]+)"/);
    // The operating system closes it when the process at the other end is gone.
    keeper.process.stdin.destroy();
    expect(await keeper.finished).toMatchObject({ code: 0 });
    await expect(new pg.Client(url).connect()).rejects.toThrow('ECONNREFUSED');
    expect(await readdir(folder.path)).toEqual([]);
  }, 120_000);

  it('makes a database of its own in a Postgres that is there, and drops it', async () => {
    await using server = await createPostgresDatabase();
    const client = new pg.Client(server.url);
    await client.connect();
    const names = async () => {
      const { rows } = await client.query<{ datname: string }>(
        `SELECT datname FROM pg_database WHERE datname ~ '^sluice_[0-9a-f]{12}$'`,
      );
      return rows;
    };
    const args = ['no-change', '--profiles', '300', '--repeat', '1', '--database', server.url];
    const finished = await runScript('bench/main', args);
    expect(finished.code === 0 ? '' : finished.errors).toBe('');
    expect(figures(finished)).toMatchObject({
      ...{ bench: 'no-change', importerCalls: 0 },
      database: expect.stringMatching(/^Postgres /) as string,
      goal: { wallSeconds: { atMost: 20 } },
    });
    expect(await names()).toEqual([]);
    await client.end();
  }, 120_000);

  it('tells what several exports cost, the database included', async () => {
    await using server = await createPostgresDatabase();
    const args = ['scale', '--profiles', '300', '--exports', '2', '--repeat', '1', '--database', server.url];
    const finished = await runScript('bench/main', args);
    expect(finished.code === 0 ? '' : finished.errors).toBe('');
    const measured = figures(finished);
    // How updates of entries were written is not known yet: Postgres tells such figures up to ten seconds later.
    expect(measured).toMatchObject({ profiles: 300, exports: 2, shareOfHotUpdates: expect.any(Number) as number });
    for (const figure of ['walBytesEach', 'bytesForALedgerEntry', 'bytesForAMember', 'connections']) {
      expect(measured[figure]).toBeGreaterThan(0);
    }
  }, 120_000);

  it('says what is wrong with a Postgres that does not answer', async () => {
    const url = 'postgres://nobody@127.0.0.1:1/none';
    const { code, errors } = await runScript('bench/main', ['import', '--database', url]);
    expect(errors).toMatch(
      /^bench: Postgres at 127\.0\.0\.1:1 did not do "SHOW server_version": .*ECONNREFUSED/,
    );
    expect(code).toBe(1);
  });
});

describe('the options of a bench', () => {
  const bench: Bench = {
    ...{ name: 'one', about: '', profiles: 5_000, goals: () => [] },
    measure: () => Promise.resolve(measured({})),
  };

  it('are the median of 3 and the size of the bench, unless told otherwise', () => {
    expect(readOptions(['one'], [bench])).toMatchObject({ profiles: 5_000, repeat: 3, ids: 'ordered' });
    const args = ['one', '--profiles', '700', '--repeat', '1', '--ids', 'random', '--check'];
    expect(readOptions(args, [bench])).toMatchObject({
      profiles: 700,
      repeat: 1,
      ids: 'random',
      check: true,
    });
  });

  it.each([[[]], [['two']], [['one', 'one']], [['one', '--profiles', 'many']], [['one', '--ids', 'odd']]])(
    'are refused: %j',
    (args) => {
      expect(() => readOptions(args, [bench])).toThrow(UsageError);
    },
  );
});

describe('the people of a bench', () => {
  it.each(['ordered', 'random'] as const)('are nobody twice, and always the same, with %s ids', (ids) => {
    const people = [...crowd(0, 20_000, ids)];
    expect(new Set(people.map(({ id }) => id)).size).toBe(20_000);
    expect(new Set(people.map(({ email }) => email.toLowerCase())).size).toBe(20_000);
    expect([...crowd(0, 20_000, ids)]).toEqual(people);
    const isSorted = people.every(({ id }, at) => id >= (people[at - 1]?.id ?? ''));
    expect(isSorted).toBe(ids === 'ordered');
  });

  it('have addresses in an order that has nothing to do with their ids', () => {
    const people = [...crowd(0, 10_000, 'ordered')];
    const ascents = people.filter(({ email }, at) => email > (people[at - 1]?.email ?? '')).length;
    expect(ascents / people.length).toBeCloseTo(0.5, 1);
  });

  it('differ in nothing but the name when they have changed', () => {
    const person = personOf(7, { ids: 'ordered', renamed: false });
    const changed = personOf(7, { ids: 'ordered', renamed: true });
    expect(changed.firstName).not.toBe(person.firstName);
    expect({ ...changed, firstName: person.firstName }).toEqual(person);
  });
});

describe('the verdict of a bench', () => {
  const runs = [
    measured({ speed: 10, calls: 3, peakRssMb: null }),
    measured({ speed: 30, calls: 3, peakRssMb: null }),
    measured({ speed: 20, calls: 4, peakRssMb: null }),
  ];

  it('goes by the median of each figure', () => {
    expect(medians(runs)).toMatchObject({ speed: 20, calls: 3, peakRssMb: null });
    expect(judge(runs, [{ figure: 'speed', atLeast: 20 }])).toMatchObject([{ is: 20, met: true }]);
    expect(judge(runs, [{ figure: 'speed', atLeast: 21 }])).toMatchObject([{ is: 20, met: false }]);
    expect(judge(runs, [{ figure: 'speed', atMost: 19 }])).toMatchObject([{ is: 20, met: false }]);
  });

  it('wants what must be exact in every run', () => {
    expect(judge(runs, [{ figure: 'calls', exactly: 3 }])).toMatchObject([{ is: 4, met: false }]);
    expect(judge(runs.slice(0, 2), [{ figure: 'calls', exactly: 3 }])).toMatchObject([{ is: 3, met: true }]);
  });

  it('does not judge what cannot be measured here', () => {
    expect(judge(runs, [{ figure: 'peakRssMb', atMost: 1 }])).toMatchObject([{ is: null, met: true }]);
  });
});
