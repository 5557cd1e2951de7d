import type { FinishedRun } from '../helpers/flows.js';
import type { Sluice } from '../helpers/sluice.js';
import { FIELDS } from './destination.js';
import { CANCELED, type Expected, type Prepared } from './engine.js';
import {
  ADDRESSES,
  addressOf,
  type Change,
  type Fault,
  type Held,
  type Kill,
  type Step,
} from './operations.js';
import { Stage, type Place } from './stage.js';

/** Runs the exports on both sides, and compares what they did. */
export class Driver {
  private constructor(private readonly stage: Stage) {}

  static async start(place: Place): Promise<Driver> {
    return new Driver(await Stage.start(place));
  }

  async step({ changes, run, held, fault, kill }: Step): Promise<void> {
    for (const change of changes) await this.stage.change(change);
    await this.run(run.export, { force: run.force, held, fault, kill });
  }

  /** At the end every export runs without troubles, and once more when there is nothing left to do. */
  async finish(): Promise<void> {
    await this.stage.change({ do: 'accept all' });
    for (const index of [...this.stage.exports.keys(), ...this.stage.exports.keys()])
      await this.run(index, { force: false });
  }

  /**
   * All exports run at the same time, with nothing to do but that some people have left: in whatever order the runs
   * prepare, the same people are off the list in the end, and each was a leaver of one run. Which run it was, and which of
   * two twins has the contact then, is open; so this comes last.
   */
  async refresh(leaves: readonly Change[]): Promise<void> {
    for (const change of leaves) await this.stage.change(change);
    const indices = [...this.stage.exports.keys()];
    const runIds = await Promise.all(indices.map((index) => this.request(index, false)));
    const runs = await Promise.all(runIds.map((runId) => this.end(runId, noKill, () => this.approve(runId))));
    let leavers = 0;
    for (const index of indices) {
      let prepared = this.stage.model.prepare(this.stage.exportAt(index));
      if (prepared.isHeld) {
        prepared = this.stage.model.prepare(this.stage.exportAt(index), { approved: prepared.leavers });
      }
      leavers += prepared.deliver().progress.leavers ?? 0;
    }
    const told = runs.map(({ progress }) => progress.leavers);
    expect({ leavers: told.reduce((sum, some) => sum + some, 0), told }).toEqual({ leavers, told });
    this.compareState(standingsOf);
  }

  private async run(
    index: number,
    {
      force,
      held,
      fault,
      kill,
    }: {
      force: boolean;
      held?: Held | undefined;
      fault?: Fault | undefined;
      kill?: Kill | undefined;
    },
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
    const isQuiet = faultId === undefined && killer === undefined;
    const modelled = new ModelledRun(this.stage, index, force);
    const run = await this.end(
      runId,
      () => killer?.killing(),
      async () => {
        // In trouble nothing else happens while a run is held: what is asked twice then has the same end.
        await this.decide(
          runId,
          modelled,
          isQuiet ? held : held && { ...held, changes: [], runsOther: false },
        );
      },
    );
    killer?.stop();
    await killer?.killing();
    if (faultId !== undefined) sandbox.clearFaults(faultId);
    const expected = modelled.end();
    this.compareRun(run, expected);
    this.compareState();
    if (!isQuiet || modelled.wasHeld) return;
    const calls = sandbox.log.slice(seenCalls).filter(({ kind }) => kind === 'importer');
    const accepted = calls.filter(({ batchId }) => batchId !== undefined);
    const sent = accepted.reduce((sum, { contacts = 0 }) => sum + contacts, 0);
    expect({ sent }).toEqual({ sent: expected.sent });
    if (expected.progress.toSend === 0) expect(calls).toEqual([]);
  }

  /** What happens while the run is held, and how it ends. What is decided when nobody says is approved. */
  private async decide(runId: string, modelled: ModelledRun, held: Held | undefined): Promise<void> {
    if (!modelled.isDecided()) {
      for (const change of modelled.wasHeld ? [] : (held?.changes ?? [])) await this.stage.change(change);
      if (held?.runsOther && !modelled.wasHeld) await this.run(modelled.other, { force: false });
      modelled.decide(held?.decision ?? 'approve');
    }
    if (modelled.decision === 'cancel') await this.cancel(runId);
    else await this.approve(runId);
  }

  private approve(id: string): Promise<unknown> {
    return this.sluice.query('mutation ($id: ID!) { approveExportRun(id: $id) { id } }', { id });
  }

  private cancel(id: string): Promise<unknown> {
    return this.sluice.query('mutation ($id: ID!) { cancelExportRun(id: $id) { id } }', { id });
  }

  /**
   * Asks until a run has ended, across kills. The stream would tell the end a quarter of a second later.
   * @param onHeld decides about it whenever it is held, and may be called again for the same decision after a kill.
   */
  private async end(
    runId: string,
    kill: () => Promise<void> | undefined,
    onHeld: () => Promise<unknown>,
  ): Promise<FinishedRun> {
    for (;;) {
      try {
        const { exportRun } = await this.sluice.query<{ exportRun: FinishedRun }>(ASK, { runId });
        const state: string = exportRun.state;
        if (FINAL.has(state)) return exportRun;
        if (state === 'HELD') await onHeld();
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

  private compareRun({ state, problem, progress }: FinishedRun, expected: Expected): void {
    if (expected.state === 'SKIPPED') {
      expect({ state, problem: problem?.code }).toEqual({ state: 'SKIPPED', problem: expected.problem });
      return;
    }
    const counted = Object.fromEntries(
      Object.entries(progress).filter(([name]) => name in expected.progress),
    );
    expect({ state, problem: problem?.code ?? null, ...counted }).toEqual({
      state: expected.state,
      problem: expected.problem,
      ...expected.progress,
    });
  }

  /** @param shown what of a contact is compared. */
  private compareState(shown = (contact: string) => contact): void {
    const { sandbox } = this.stage.place;
    const state = new Map<string, string>();
    for (let n = 0; n < ADDRESSES; n += 1) {
      const key = this.stage.own(addressOf(n));
      const contact = sandbox.contact(key);
      if (contact === undefined) continue;
      const { firstName, lastName, phone, lists } = contact;
      const standings = lists.map(({ list, status }) => `${list}:${status}`).sort();
      state.set(key, shown([firstName, lastName, phone, ...standings].join('|')));
    }
    const expected = [...this.stage.destination.state()].map(
      ([key, contact]) => [key, shown(contact)] as const,
    );
    expect(byKey(state)).toEqual(byKey(new Map(expected)));
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

/** A run in the model, across the times that it is held. */
class ModelledRun {
  wasHeld = false;
  decision: Held['decision'] | undefined;
  private prepared: Prepared;
  /** Prepared again after an approval; it is not until the run is seen to be held again that the old one was decided. */
  private approvals = 0;

  constructor(
    private readonly stage: Stage,
    private readonly index: number,
    private readonly force: boolean,
  ) {
    this.prepared = stage.model.prepare(stage.exportAt(index), { force });
  }

  /** The export beside it. */
  get other(): number {
    return this.stage.exports.length - 1 - this.index;
  }

  /** Whether somebody has decided about the run as it is held now: then a kill kept the decision from arriving. */
  isDecided(): boolean {
    return this.decision === 'cancel' || (this.approvals > 0 && !this.prepared.isHeld);
  }

  decide(decision: Held['decision']): void {
    expect({ held: this.prepared.isHeld }).toEqual({ held: true });
    this.wasHeld = true;
    this.decision = decision;
    if (decision === 'cancel') return;
    this.approvals += 1;
    const { force } = this;
    const options = { force, approved: this.prepared.leavers };
    this.prepared = this.stage.model.prepare(this.stage.exportAt(this.index), options);
  }

  end(): Expected {
    if (this.decision === 'cancel') return CANCELED;
    expect({ held: this.prepared.isHeld }).toEqual({ held: false });
    return this.prepared.deliver();
  }
}

const noKill = () => undefined;

/** Of a contact as `first|last|phone|list:status…`. */
const standingsOf = (contact: string) => contact.split('|').slice(FIELDS.length).join('|');

const byKey = (state: ReadonlyMap<string, string>) => Object.fromEntries([...state].sort());

const FINAL = new Set<string>(['SUCCEEDED', 'SUCCEEDED_WITH_WARNINGS', 'FAILED', 'CANCELED', 'SKIPPED']);

const ASK = `query ($runId: ID!) {
  exportRun(id: $runId) {
    id state attempt
    problem { code message remedy }
    progress { members skipped unchanged leavers toSend accepted confirmed rejected unconfirmed notSent }
  }
}`;
