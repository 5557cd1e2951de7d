import { statSync } from 'node:fs';
import { join } from 'node:path';
import {
  exportOf,
  fastTime,
  finish,
  imports,
  people,
  startEngine,
  stoppedTime,
  UNHURRIED,
} from './helpers/engine.js';
import { onSqlite, tamper } from './helpers/databases.js';
import { runEnd, startRun } from './helpers/flows.js';
import { startSluice } from './helpers/sluice.js';

/** As `fastTime` has it. */
const DEADLINE_MS = 1_440 * 60_000;

describe('a run', () => {
  it('ends at its deadline when the destination takes nothing, and counts who was not sent', async () => {
    const time = fastTime(2_000);
    await using engine = await startEngine({ sandbox: { timeScale: 2_000 }, sluice: time });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(500));
    sandbox.addFault({ on: 'importer', times: null, action: { type: 'rate-limit', retryAfterSeconds: 30 } });
    const refused = sandbox.nextCall(({ kind }) => kind === 'importer');
    const runId = await startRun(sluice, exportId);
    await refused;
    time.pass(DEADLINE_MS);
    const run = await finish(sluice, runId);

    expect(run).toMatchObject({ state: 'FAILED', problem: { code: 'DEADLINE_PASSED' } });
    expect(run.progress).toMatchObject({ confirmed: 0, unconfirmed: 0, notSent: 500 });
    expect(sandbox.contactCount).toBe(0);
  });

  it('stops sending when its connection has no export user any more', async () => {
    const time = stoppedTime();
    await using engine = await startEngine({ sandbox: time.sandbox, sluice: UNHURRIED });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(10_000));
    const third = sandbox.next('accepted', () => sandbox.batches().length === 3);
    const runId = await startRun(sluice, exportId);
    await third;
    await tamper(sluice.folder, 'UPDATE "connections" SET "exportUserId" = NULL');
    time.letGo();

    const run = await finish(sluice, runId);
    expect(run).toMatchObject({ state: 'FAILED', problem: { code: 'NO_EXPORT_USER' } });
    expect(run.progress.confirmed).toBe(250 * imports(sandbox).length);
    expect(run.progress.notSent).toBe(10_000 - run.progress.confirmed);
  });

  it('says so when its figures contradict the ledger, instead of covering it up', async () => {
    const time = stoppedTime();
    await using engine = await startEngine({ sandbox: time.sandbox });
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, people(300));
    const accepted = sandbox.next('accepted', () => sandbox.batches().length === 2);
    const runId = await startRun(sluice, exportId);
    await accepted;
    await tamper(sluice.folder, 'UPDATE "export_runs" SET "confirmed" = "confirmed" + 1');
    time.letGo();

    const run = await runEnd(sluice, runId);
    expect(run).toMatchObject({ state: 'FAILED', problem: { code: 'COUNTERS_DISAGREE' } });
    expect(sluice.log.some((line) => line.msg === 'counters disagree')).toBe(true);
  });
});

describe('the database file', () => {
  onSqlite('is for its owner alone', async () => {
    await using sluice = await startSluice();
    expect(statSync(join(sluice.folder, 'sluice.db')).mode & 0o777).toBe(0o600);
  });
});
