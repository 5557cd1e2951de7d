import type { Sandbox } from '../sandbox/sandbox.js';
import { connectionCalls } from './helpers/connection-calls.js';
import {
  emailOf,
  exportOf,
  imports,
  people,
  rejectionsOf,
  runFully,
  startEngine,
  type Engine,
} from './helpers/engine.js';
import { createExportOf, segmentNamed } from './helpers/flows.js';

const LEAVERS = { leavers: 'UNSUBSCRIBE', leaverHoldPercent: 100 } as const;
const ON = 1;
const OFF = 2;

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const BOTH = range(1, 5);
const OF_A = range(1, 20);
const OF_B = [...BOTH, ...range(21, 25)];

const standing = (sandbox: Sandbox, n: number) => sandbox.contact(emailOf(n))?.lists[0]?.status;
const standings = (sandbox: Sandbox, ns: readonly number[]) => ns.map((n) => standing(sandbox, n));
const all = (ns: readonly number[], status: number) => ns.map(() => status);

async function setMembers({ sluice }: Engine, segment: string, ns: readonly number[]): Promise<void> {
  const [header = ''] = people(0).split('\n');
  const rows = ns.map((n) => people(1, n).split('\n')[1] ?? '');
  await sluice.importCsv([header, ...rows, ''].join('\n'), { segment });
}

/** Exports A (20 people) and B (10, five of them in both) to one list. B was delivered. */
async function twoExports(engine: Engine): Promise<{ a: string; b: string }> {
  const a = await exportOf(engine, people(20), LEAVERS);
  await setMembers(engine, 'B', OF_B);
  const segmentIds = [await segmentNamed(engine.sluice, 'B')];
  const b = await createExportOf(engine.sluice, {
    connectionId: engine.connectionId,
    segmentIds,
    name: 'B',
    ...LEAVERS,
  });
  expect(await runFully(engine.sluice, b)).toMatchObject({ state: 'SUCCEEDED' });
  return { a, b };
}

/** Runs an export whose key stops working as soon as its batch is accepted. Afterwards it works again. */
async function runWithoutOutcome({ sandbox, sluice, connectionId }: Engine, exportId: string) {
  const stop = sandbox.on('accepted', () => sandbox.revokeKey());
  const run = await runFully(sluice, exportId);
  stop();
  sandbox.restoreKey();
  await connectionCalls(sluice).connect(connectionId);
  return run;
}

const detach = ({ sluice }: Engine, id: string) =>
  sluice.query('mutation ($id: ID!) { detachExports(ids: [$id]) { id } }', { id });

const attach = ({ sluice, connectionId }: Engine, id: string) =>
  sluice.query('mutation ($id: ID!, $to: ID!) { attachExport(id: $id, connectionId: $to) { id } }', {
    id,
    to: connectionId,
  });

describe('a batch that tells its outcome in a later run', () => {
  it('does not vouch for whom another export removed in between: they are put back, the others not sent twice', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const { a, b } = await twoExports(engine);
    expect((await runWithoutOutcome(engine, a)).progress).toMatchObject({ accepted: 20, unconfirmed: 20 });
    await detach(engine, a);
    await setMembers(engine, 'B', range(21, 25));
    expect((await runFully(sluice, b)).progress).toMatchObject({ leavers: 5, confirmed: 5 });
    expect(standings(sandbox, BOTH)).toEqual(all(BOTH, OFF));
    await attach(engine, a);

    const run = await runFully(sluice, a);

    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { unchanged: 15, toSend: 5, confirmed: 5 } });
    expect(standings(sandbox, OF_A)).toEqual(all(OF_A, ON));
    expect(sandbox.contact(emailOf(20))?.automations).toBe(1);
    expect((await runFully(sluice, a)).progress).toMatchObject({ unchanged: 20, toSend: 0 });
  });

  it('does not vouch for whom another export may have removed in between, without learning the outcome', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const { a, b } = await twoExports(engine);
    await runWithoutOutcome(engine, a);
    await detach(engine, a);
    await setMembers(engine, 'B', range(21, 25));
    expect((await runWithoutOutcome(engine, b)).progress).toMatchObject({ leavers: 5, unconfirmed: 5 });
    await attach(engine, a);

    const run = await runFully(sluice, a);

    // Whether the removal of those whose outcome nobody learned was ours may stay open: then they are told as opted out.
    expect(run.progress).toMatchObject({ unchanged: 15, toSend: 5 });
    const rejected = (await rejectionsOf(sluice, run.id)).map(({ email }) => email);
    expect(BOTH.filter((n) => standing(sandbox, n) !== ON).map(emailOf)).toEqual(rejected.sort());
  });

  it('still vouches for the others when a failure is of somebody who was removed in between', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const { a, b } = await twoExports(engine);
    sandbox.refuseAddresses({ emails: [emailOf(1), emailOf(20)], how: 'later' });
    await runWithoutOutcome(engine, a);
    sandbox.clearFaults();
    await detach(engine, a);
    await setMembers(engine, 'B', range(21, 25));
    await runFully(sluice, b);
    await attach(engine, a);
    const before = imports(sandbox).length;

    const run = await runFully(sluice, a);

    expect(run.progress).toMatchObject({ unchanged: 14 });
    // Those who were removed and come back; and whoever was refused as a newcomer, because that refusal does not stand.
    expect(imports(sandbox)).toHaveLength(before + 2);
    expect(standings(sandbox, range(1, 19))).toEqual(all(range(1, 19), ON));
    expect(sandbox.contact(emailOf(10))?.automations).toBe(1);
  });
});
