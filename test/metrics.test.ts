import { readFileSync } from 'node:fs';
import { ExportRun, ExportRunState } from '../src/entities/export-run.js';
import { readBacklog } from '../src/exports/backlog.js';
import { openBeside } from './helpers/beside.js';
import {
  emailOf,
  exportOf,
  finish,
  imports,
  people,
  runFully,
  startEngine,
  stoppedTime,
} from './helpers/engine.js';
import { startRun } from './helpers/flows.js';
import { METRICS_TOKEN, scrape } from './helpers/metrics.js';
import { movableClock } from './helpers/movable-clock.js';
import { startProgram } from './helpers/program.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { bearer, startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

const env = { SLUICE_METRICS_TOKEN: METRICS_TOKEN };
const MINUTE_MS = 60_000;

/** Resolves when the destination has accepted as many contacts of the run, and the server knows it. */
async function untilAccepted(sluice: Sluice, runId: string, contacts: number): Promise<void> {
  const events = sluice.subscribe<{ exportRunChanged: { progress: { accepted: number } } }>(
    'subscription ($runId: ID!) { exportRunChanged(runId: $runId) { progress { accepted } } }',
    { runId },
  );
  for await (const { exportRunChanged } of events) {
    if (exportRunChanged.progress.accepted >= contacts) return;
  }
}

describe('GET /metrics', () => {
  it('tells nobody anything without a token of its own', async () => {
    await using sluice = await startSluice();
    const response = await fetch(`${sluice.url}/metrics`, { headers: bearer(sluice.token) });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { remedy: expect.stringContaining('SLUICE_METRICS_TOKEN') as string } }],
    });
  });

  it.each([
    ['none', {}],
    ['the one of an administrator', bearer('token-of-the-tests-administrator')],
    ['half of it', bearer(METRICS_TOKEN.slice(0, -1))],
    ['another scheme', { authorization: `Basic ${METRICS_TOKEN}` }],
  ])('refuses a wrong token: %s', async (_which, headers: Record<string, string>) => {
    await using sluice = await startSluice({ env });
    const response = await fetch(`${sluice.url}/metrics`, { headers });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    expect(await response.text()).not.toContain('sluice_');
  });

  it('answers in the format of Prometheus, with every series at 0 from the start', async () => {
    await using sluice = await startSluice({ env });
    const response = await fetch(`${sluice.url}/metrics`, { headers: bearer(METRICS_TOKEN) });
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const figures = await scrape(sluice);
    for (const state of ['QUEUED', 'RUNNING', 'HELD', 'CANCELING'])
      expect(figures.value('sluice_runs', { state })).toBe(0);
    for (const state of ['SUCCEEDED', 'SUCCEEDED_WITH_WARNINGS', 'FAILED', 'CANCELED', 'SKIPPED'])
      expect(figures.value('sluice_runs_ended_total', { state })).toBe(0);
    expect(figures.value('sluice_contacts_total', { outcome: 'confirmed' })).toBe(0);
    expect(figures.value('sluice_batches_total', { state: 'ACCEPTED' })).toBe(0);
    expect(figures.value('sluice_queue_depth')).toBe(0);
    expect(figures.value('sluice_queue_oldest_seconds')).toBe(0);
    // Each is told what it is for.
    const names = [...figures.text.matchAll(/^# TYPE (sluice_\w+) /gm)].map(([, name = '']) => name);
    const operations = readFileSync('docs/operations.md', 'utf8');
    expect(names.length).toBeGreaterThan(8);
    expect(names.filter((name) => !operations.includes(`| \`${name}\` |`))).toEqual([]);
  });

  it('is not counted as a request of its address', async () => {
    await using sluice = await startSluice({ env: { ...env, SLUICE_RATE_PER_ADDRESS: '1' } });
    for (let n = 0; n < 5; n += 1) await scrape(sluice);
  });

  it('agrees with the record of the destination, in the middle of a run and after it', async () => {
    const time = stoppedTime();
    const clock = movableClock();
    await using engine = await startEngine({ sandbox: time.sandbox, sluice: { env, clock } });
    const { sandbox, sluice } = engine;
    const csv = `${people(600)}9001,not-an-address,A,B,\n9002,,C,D,\n`;
    const exportId = await exportOf(engine, csv);
    sandbox.refuseAddresses({ emails: [emailOf(5), emailOf(6), emailOf(7)], how: 'later' });
    const runId = await startRun(sluice, exportId);
    await untilAccepted(sluice, runId, 600);

    const during = await scrape(sluice);
    expect(during.value('sluice_runs', { state: 'RUNNING' })).toBe(1);
    expect(during.value('sluice_runs_ended_total', { state: 'SUCCEEDED_WITH_WARNINGS' })).toBe(0);
    expect(imports(sandbox)).toHaveLength(3);
    expect(during.value('sluice_batches_total', { state: 'ACCEPTED' })).toBe(3);
    expect(during.value('sluice_batches_total', { state: 'SETTLED' })).toBe(0);
    expect(during.value('sluice_contacts_total', { outcome: 'skipped' })).toBe(2);
    expect(during.value('sluice_contacts_total', { outcome: 'confirmed' })).toBe(0);
    expect(during.value('sluice_account_pace_ratio')).toBe(1);

    time.letGo();
    const run = await finish(sluice, runId);
    clock.pass(10_000);
    const after = await scrape(sluice);
    expect(run.state).toBe('SUCCEEDED_WITH_WARNINGS');
    expect(after.sum('sluice_runs')).toBe(0);
    expect(after.value('sluice_runs_ended_total', { state: 'SUCCEEDED_WITH_WARNINGS' })).toBe(1);
    expect(after.sum('sluice_runs_ended_total')).toBe(1);
    expect(after.value('sluice_contacts_total', { outcome: 'confirmed' })).toBe(
      [...sandbox.contacts()].length,
    );
    expect(after.value('sluice_contacts_total', { outcome: 'rejected' })).toBe(3);
    expect(after.sum('sluice_contacts_total')).toBe(run.progress.members);
    expect(after.value('sluice_batches_total', { state: 'SETTLED' })).toBe(3);

    const calls = (kind: string) => sandbox.log.filter((call) => call.kind === kind).length;
    const answered = (operation: string) =>
      after.sum('sluice_destination_request_seconds_count', { operation, result: 'ok' });
    expect(answered('send')).toBe(calls('importer'));
    expect(answered('outcome')).toBe(calls('info'));
    expect(after.sum('sluice_account_requests_total', { kind: 'batch' })).toBe(calls('importer'));
    const requests = after.sum('sluice_account_requests_total');
    expect(requests).toBeGreaterThan(calls('importer') + calls('info'));
    expect(after.value('sluice_account_wait_seconds_count')).toBe(requests);
  });

  it('tells how the destination refuses, and that the account is called more slowly', async () => {
    await using engine = await startEngine({ sluice: { env } });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(2_500));
    sandbox.addFault({
      on: 'importer',
      nth: 3,
      times: 2,
      action: { type: 'rate-limit', retryAfterSeconds: 1 },
    });
    sandbox.addFault({ on: 'importer', nth: 6, action: { type: 'answer', status: 500 } });
    expect(await runFully(sluice, exportId)).toMatchObject({ state: 'SUCCEEDED' });
    const figures = await scrape(sluice);
    const ended = (result: string) =>
      figures.sum('sluice_destination_request_seconds_count', { operation: 'send', result });
    const refused = sandbox.log.filter(({ kind, status }) => kind === 'importer' && status === 429).length;
    expect(refused).toBe(2);
    expect(ended('too_fast')).toBe(refused);
    expect(ended('retry_later')).toBe(1);
    expect(ended('ok')).toBe(imports(sandbox).filter(({ batchId }) => batchId !== undefined).length);
    // What was refused goes out again.
    expect(figures.value('sluice_batches_total', { state: 'PLANNED' })).toBe(refused);
  });

  it('counts runs that end before they begin, and those that are cancelled', async () => {
    const time = stoppedTime();
    await using engine = await startEngine({ sandbox: time.sandbox, sluice: { env } });
    const { sluice, connectionId } = engine;
    const exportId = await exportOf(engine, people(300));
    const underWay = await startRun(sluice, exportId);
    await untilAccepted(sluice, underWay, 300);
    const queued = await startRun(sluice, exportId);
    const cancel = (id: string) =>
      sluice.query('mutation ($id: ID!) { cancelExportRun(id: $id) { state } }', { id });
    const ended = async (state: string) => (await scrape(sluice)).value('sluice_runs_ended_total', { state });
    expect(await cancel(queued)).toEqual({ cancelExportRun: { state: 'CANCELED' } });
    expect(await ended('CANCELED')).toBe(1);
    await cancel(underWay);
    // Asked a second time it ends no second time.
    await cancel(queued);
    time.letGo();
    expect(await finish(sluice, underWay)).toMatchObject({ state: 'CANCELED' });
    expect(await ended('CANCELED')).toBe(2);
    await sluice.query('mutation ($id: ID!) { withdrawConsent(connectionId: $id) { id } }', {
      id: connectionId,
    });
    await sluice.query('mutation { runAllExports { state } }');
    expect(await ended('SKIPPED')).toBe(1);
  });

  it('holds neither people nor secrets', async () => {
    await using engine = await startEngine({ sluice: { env } });
    const { sandbox, sluice } = engine;
    await runFully(sluice, await exportOf(engine, people(3)));
    const { text } = await scrape(sluice);
    expect(text).toContain('sluice_account_requests_total{account="');
    for (const secret of [sandbox.token, sluice.token, METRICS_TOKEN, '@', 'First 1', 'Test export'])
      expect(text).not.toContain(secret);
  });

  it('forgets an account five minutes after its work is done', async () => {
    const clock = movableClock();
    await using engine = await startEngine({ sluice: { env, clock } });
    const { sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    await runFully(sluice, exportId);
    const accounts = async () =>
      (await scrape(sluice)).samples.filter(({ labels }) => labels.account !== undefined).length;
    clock.pass(4 * MINUTE_MS);
    expect(await accounts()).toBeGreaterThan(0);
    // The account is put down a moment after the end of its last run.
    do clock.pass(6 * MINUTE_MS);
    while ((await accounts()) > 0);
    await runFully(sluice, exportId);
    expect(await accounts()).toBeGreaterThan(0);
  });

  it('tells how long a run waits that nobody takes up, but not one behind a run that is held', async () => {
    const clock = movableClock();
    await using engine = await startEngine({ sluice: { env, clock } });
    const { sluice } = engine;
    const exportId = await exportOf(engine, people(3));
    const { id } = await runFully(sluice, exportId);
    await using database = await openBeside(sluice);
    const done = await database.reader.findOneByOrFail(ExportRun, { id });
    const copy = (of: Partial<ExportRun>) => Object.assign(new ExportRun(), done, { finishedAt: null }, of);
    const queuedAt = new Date(clock.now() - 90_000);
    // Written by a process that died before it could ring: no bell rings for these.
    await database.transact(async ({ manager }) => {
      await manager.insert(ExportRun, [
        copy({ id: 'lost', number: 2, state: ExportRunState.QUEUED, queuedAt }),
        copy({ id: 'held', number: 1, exportId: 'other', state: ExportRunState.HELD }),
        copy({
          id: 'behind',
          number: 2,
          exportId: 'other',
          state: ExportRunState.QUEUED,
          queuedAt: new Date(0),
        }),
      ]);
    });
    const figures = await scrape(sluice);
    expect(figures.value('sluice_runs', { state: 'QUEUED' })).toBe(2);
    expect(figures.value('sluice_runs', { state: 'HELD' })).toBe(1);
    expect(figures.value('sluice_queue_depth')).toBe(1);
    expect(figures.value('sluice_queue_oldest_seconds')).toBeGreaterThanOrEqual(90);
    expect(figures.value('sluice_queue_oldest_seconds')).toBeLessThan(120);
    expect((await readBacklog(database.reader)).waitingSince).toBe(queuedAt.getTime());
  });

  it('has, in a process of its own, its event loop, memory and processor time besides', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    await using program = await startProgram(folder.path, sandbox, { env });
    const figures = await scrape(program.sluice);
    expect(figures.value('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThanOrEqual(0);
    expect(figures.value('process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
    expect(figures.value('process_cpu_seconds_total')).toBeGreaterThan(0);
  });
});
