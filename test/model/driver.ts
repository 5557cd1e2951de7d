import type { FinishedRun } from '../helpers/flows.js';
import type { Sluice } from '../helpers/sluice.js';
import type { Expected } from './engine.js';
import { ADDRESSES, addressOf, type Fault, type Kill, type Step } from './operations.js';
import { Stage, type Place } from './stage.js';

/** Runs the exports on both sides, and compares what they did. */
export class Driver {
  private constructor(private readonly stage: Stage) {}

  static async start(place: Place): Promise<Driver> {
    return new Driver(await Stage.start(place));
  }

  async step({ changes, run, fault, kill }: Step): Promise<void> {
    for (const change of changes) await this.stage.change(change);
    await this.run(run.export, { force: run.force, fault, kill });
  }

  /** At the end every export runs without troubles, and once more when there is nothing left to do. */
  async finish(): Promise<void> {
    await this.stage.change({ do: 'accept all' });
    for (const index of [...this.stage.exports.keys(), ...this.stage.exports.keys()])
      await this.run(index, { force: false });
  }

  private async run(
    index: number,
    { force, fault, kill }: { force: boolean; fault?: Fault | undefined; kill?: Kill | undefined },
  ): Promise<void> {
    const { sandbox, restart } = this.stage.place;
    await this.stage.attach(index, true);
    const seenCalls = sandbox.log.length;
    // Whether a batch that is refused at once may have arrived before, in part, cannot be told from outside.
    const allowsTrouble = this.stage.destination.refused.size === 0;
    const faultId = fault !== undefined && allowsTrouble ? sandbox.addFault(fault) : undefined;
    const runId = await this.request(index, force);
    const killer =
      kill !== undefined && restart !== undefined && allowsTrouble ? this.killAt(kill, restart) : undefined;
    const end = await this.end(runId, () => killer?.killing());
    killer?.stop();
    await killer?.killing();
    if (faultId !== undefined) sandbox.clearFaults(faultId);
    const expected = this.stage.model.run(this.stage.exportAt(index), { force });
    this.compareRun(end, expected);
    this.compareState();
    if (faultId !== undefined || killer !== undefined) return;
    const calls = sandbox.log.slice(seenCalls).filter(({ kind }) => kind === 'importer');
    const accepted = calls.filter(({ batchId }) => batchId !== undefined);
    const sent = accepted.reduce((sum, { contacts = 0 }) => sum + contacts, 0);
    expect({ sent }).toEqual({ sent: expected.sent });
    if (expected.progress.toSend === 0) expect(calls).toEqual([]);
  }

  /**
   * Asks until a run has ended, across kills, and approves it where it is held. The stream would tell the end a quarter
   * of a second later.
   */
  private async end(
    runId: string,
    kill: () => Promise<void> | undefined,
  ): Promise<{ run: FinishedRun; held: boolean }> {
    for (let held = false; ;) {
      try {
        const { exportRun } = await this.sluice.query<{ exportRun: FinishedRun }>(ASK, { runId });
        const state: string = exportRun.state;
        if (FINAL.has(state)) return { run: exportRun, held };
        if (state === 'HELD') {
          held = true;
          await this.sluice.query('mutation ($id: ID!) { approveExportRun(id: $id) { id } }', { id: runId });
        }
      } catch (error: unknown) {
        if (kill() === undefined) throw error;
        await kill();
      }
    }
  }

  private killAt({ at, nth }: Kill, restart: () => Promise<void>) {
    let seen = 0;
    let killing: Promise<void> | undefined;
    const stop = this.stage.place.sandbox.on(at, () => {
      seen += 1;
      if (seen === nth) killing = restart();
    });
    return { killing: () => killing, stop };
  }

  private compareRun({ run, held }: { run: FinishedRun; held: boolean }, expected: Expected): void {
    const { state, problem, progress } = run;
    if (expected.state === 'SKIPPED') {
      expect({ state, problem: problem?.code }).toEqual({ state: 'SKIPPED', problem: expected.problem });
      return;
    }
    const counted = Object.fromEntries(
      Object.entries(progress).filter(([name]) => name in expected.progress),
    );
    expect({ state, problem: problem?.code ?? null, held, ...counted }).toEqual({
      state: expected.state,
      problem: expected.problem,
      held: expected.held,
      ...expected.progress,
    });
  }

  private compareState(): void {
    const { sandbox } = this.stage.place;
    const state = new Map<string, string>();
    for (let n = 0; n < ADDRESSES; n += 1) {
      const key = this.stage.own(addressOf(n));
      const contact = sandbox.contact(key);
      if (contact === undefined) continue;
      const { firstName, lastName, phone, lists } = contact;
      const standings = lists.map(({ list, status }) => `${list}:${status}`).sort();
      state.set(key, [firstName, lastName, phone, ...standings].join('|'));
    }
    expect(byKey(state)).toEqual(byKey(this.stage.destination.state()));
    expect(sandbox.summary().invariants).toMatchObject({ overriddenOptOuts: 0, overlapsNotExcused: 0 });
  }

  private async request(index: number, force: boolean): Promise<string> {
    const { runExport } = await this.sluice.query<{ runExport: { id: string } }>(
      'mutation ($id: ID!, $force: Boolean) { runExport(exportId: $id, force: $force) { id } }',
      { id: this.stage.exportIds[index], force },
    );
    return runExport.id;
  }

  private get sluice(): Sluice {
    return this.stage.place.sluice();
  }
}

const byKey = (state: ReadonlyMap<string, string>) => Object.fromEntries([...state].sort());

const FINAL = new Set<string>(['SUCCEEDED', 'SUCCEEDED_WITH_WARNINGS', 'FAILED', 'CANCELED', 'SKIPPED']);

const ASK = `query ($runId: ID!) {
  exportRun(id: $runId) {
    id state attempt
    problem { code message remedy }
    progress { members skipped unchanged leavers toSend accepted confirmed rejected unconfirmed notSent }
  }
}`;
