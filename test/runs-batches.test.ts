import {
  bodiesOf,
  emailOf,
  exportOf,
  held,
  imports,
  people,
  runFully,
  startEngine,
  stoppedTime,
  wanted,
} from './helpers/engine.js';
import { createExportOf, runEnd, segmentNamed, startRun } from './helpers/flows.js';
import { startSluice, temporaryFolder } from './helpers/sluice.js';

const MAX_BYTES = 399_999;

describe('the batches of a run', () => {
  it('hold at most 250 contacts, and give the last one company', async () => {
    await using engine = await startEngine();
    const run = await runFully(engine.sluice, await exportOf(engine, people(1_001)));
    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { toSend: 1_001, confirmed: 1_001 } });
    const sizes = imports(engine.sandbox).map(({ contacts }) => contacts);
    // Several are under way at once, and may overtake one another.
    expect(sizes.sort()).toEqual([2, 249, 250, 250, 250]);
    expect(held(engine.sandbox)).toEqual(wanted(1_001));
  });

  it('hold at most 399,999 bytes, counted as they travel', async () => {
    await using engine = await startEngine({ sandbox: { keepBodies: true } });
    const name = 'ä"'.repeat(2_000);
    const rows = Array.from({ length: 300 }, (_, n) => `${n},${emailOf(n)},${name.replaceAll('"', '""')}`);
    const csv = `id,email,first_name,last_name,phone\n${rows.map((row) => row.replace(/,(ä.*)$/, ',"$1",,')).join('\n')}\n`;
    const run = await runFully(engine.sluice, await exportOf(engine, csv));
    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 300 } });
    const calls = imports(engine.sandbox);
    const bytes = calls.map(({ body = '' }) => Buffer.byteLength(body));
    expect(Math.max(...bytes)).toBeLessThanOrEqual(MAX_BYTES);
    // Not timid either: but for the rest, one contact more, some 8 kB, would not have fitted in.
    const [, ...full] = bytes.sort((a, b) => a - b);
    expect(Math.min(...full)).toBeGreaterThan(MAX_BYTES - 8_200);
    expect(calls.every(({ status }) => status === 200)).toBe(true);
    expect(engine.sandbox.contact(emailOf(299))?.firstName).toBe(name);
  });

  it('may be a single contact, when the run has no more', async () => {
    await using engine = await startEngine();
    const run = await runFully(engine.sluice, await exportOf(engine, people(1)));
    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 1 } });
    expect(imports(engine.sandbox).map(({ contacts }) => contacts)).toEqual([1]);
  });

  it('carry the addresses in the order of their keys, everybody once', async () => {
    await using engine = await startEngine({ sandbox: { keepBodies: true } });
    const rows = Array.from({ length: 600 }, (_, n) => `${n},${(n * 7919) % 600}X@Example.com,,,`);
    const csv = `id,email,first_name,last_name,phone\n${rows.join('\n')}\n`;
    await runFully(engine.sluice, await exportOf(engine, csv));
    const sent = bodiesOf(imports(engine.sandbox))
      .map((body) => body.map(({ email }) => String(email).toLowerCase()))
      // Several are under way at once, and may overtake one another.
      .sort(([a = ''], [b = '']) => (a < b ? -1 : 1))
      .flat();
    expect(sent).toEqual([...new Set(sent)].sort());
    expect(sent).toHaveLength(600);
  });
});

describe('two exports to one list', () => {
  it('never have two undecided batches for one address', async () => {
    // At this pace both wait for a turn with the same people in hand, and a batch takes longer than a turn.
    await using engine = await startEngine({
      sandbox: { processingMs: 15_000_000 },
      sluice: { env: { SLUICE_SANDBOX_TIME_SCALE: '16' } },
    });
    const { sandbox, sluice, connectionId } = engine;
    const first = await exportOf(engine, people(1_000));
    const segmentIds = [await segmentNamed(sluice, 'All')];
    const second = await createExportOf(sluice, { connectionId, segmentIds, name: 'Second' });
    const runIds = await Promise.all([first, second].map((id) => startRun(sluice, id)));
    const runs = await Promise.all(runIds.map((id) => runEnd(sluice, id)));
    expect(runs.map(({ state, progress }) => [state, progress.confirmed])).toEqual([
      ['SUCCEEDED', 1_000],
      ['SUCCEEDED', 1_000],
    ]);
    expect(sandbox.overlaps()).toEqual([]);
    expect(sandbox.processed(emailOf(500))).toEqual({ imported: 2, failed: 0 });
  });

  it('lose nobody when the server stops while one waits for the other', async () => {
    await using folder = await temporaryFolder();
    const time = stoppedTime();
    await using engine = await startEngine({ sandbox: time.sandbox, sluice: { folder: folder.path } });
    const { sandbox, sluice, connectionId } = engine;

    // The batch in the middle stays undecided, so that the second run must wait for it.
    await sluice.importCsv(people(10, 500), { segment: 'Middle' });
    const middle = await segmentNamed(sluice, 'Middle');
    const holding = await createExportOf(sluice, { connectionId, segmentIds: [middle], name: 'Middle' });
    const accepted = sandbox.next('accepted');
    const holdingRun = await startRun(sluice, holding);
    await accepted;
    const exportId = await exportOf(engine, people(1_000));
    const passed = sandbox.next('accepted', () => imports(sandbox).length === 3);
    const runId = await startRun(sluice, exportId);
    await passed;
    await sluice.stop();

    await using again = await startSluice({ sandbox, folder: folder.path });
    time.letGo();
    const finished = await Promise.all([runEnd(again, runId), runEnd(again, holdingRun)]);
    expect(finished.map(({ state, progress }) => [state, progress.confirmed, progress.notSent])).toEqual([
      ['SUCCEEDED', 1_000, 0],
      ['SUCCEEDED', 10, 0],
    ]);
    expect(held(sandbox)).toEqual(wanted(1_000));
  });
});
