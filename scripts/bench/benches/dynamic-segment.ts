import { perSecond, rounded, type Bench } from '../bench.js';
import { askMeanwhile } from '../open-loop.js';
import { crowd } from '../people.js';
import { NO_QUOTA, World } from '../world.js';

/** Everybody, and it takes a look at three attributes to know. */
const RULE = {
  all: [
    { attribute: 'email', operator: 'contains', value: 'EXAMPLE.', ignoreCase: true },
    { not: { attribute: 'first_name', operator: 'in', value: ['Nobody', 'Somebody'] } },
    { attribute: 'phone', operator: 'isNotEmpty' },
  ],
};

/** Asked of the server while it evaluates. */
const PROBE = {
  query: '{ segments(first: 20) { nodes { id memberCount } } }',
  perSecond: 10,
  connections: 4,
};

export const dynamicSegment: Bench = {
  name: 'dynamic-segment',
  about: 'a rule that everybody matches is counted, then written as members, then evaluated again',
  profiles: 1_000_000,

  goals: () => [
    { figure: 'countSeconds', atMost: 5 },
    { figure: 'wallSeconds', atMost: 10 },
    { figure: 'againSeconds', atMost: 10 },
    { figure: 'probeErrors', exactly: 0 },
  ],

  async measure({ profiles, ids, databases, narrator, signal }) {
    await using world = await World.open({ databases, narrator, signal, timeScale: NO_QUOTA });
    await world.import(crowd(0, profiles, ids));
    await world.restartServer();
    const count = await timed(() =>
      world.client.query<{ previewSegment: { count: number } }>(
        'query ($rule: JSONObject!) { previewSegment(rule: $rule) { count members { id } } }',
        { rule: RULE },
      ),
    );
    const { result: written, asked } = await askMeanwhile(world.server, { ...PROBE, signal }, () =>
      timed(() =>
        world.client.query<{ createSegment: { id: string; memberCount: number } }>(
          `mutation ($input: CreateSegmentInput!) { createSegment(input: $input) { id memberCount } }`,
          { input: { name: 'By rule', kind: 'DYNAMIC', rule: RULE } },
        ),
      ),
    );
    const { id, memberCount } = written.result.createSegment;
    const again = await timed(() =>
      world.client.query('mutation ($id: ID!) { refreshSegment(id: $id) { memberCount } }', { id }),
    );
    return {
      wallSeconds: rounded(written.seconds),
      requests: null,
      importerCalls: null,
      peakRssMb: world.peakRssMb(),
      ratioToBareLoop: null,
      countSeconds: rounded(count.seconds),
      countedPerSecond: perSecond(profiles, count.seconds),
      counted: count.result.previewSegment.count,
      members: memberCount,
      againSeconds: rounded(again.seconds),
      probeErrors: asked.errors,
      probeP99Ms: asked.p99Ms,
    };
  },
};

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; seconds: number }> {
  const startedAt = performance.now();
  const result = await work();
  return { result, seconds: (performance.now() - startedAt) / 1_000 };
}
