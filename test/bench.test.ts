import { UsageError } from '../scripts/client/failure.js';
import type { Bench, Measurement } from '../scripts/bench/bench.js';
import { readOptions } from '../scripts/bench/options.js';
import { crowd, personOf } from '../scripts/bench/people.js';
import { judge, medians } from '../scripts/bench/verdict.js';
import { runScript } from './helpers/script.js';

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
    expect(errors).toContain('--database oracle is not there');
    expect(code).toBe(2);
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
