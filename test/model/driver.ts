import type { FinishedRun } from '../helpers/flows.js';
import type { Sluice } from '../helpers/sluice.js';
import { FIELDS } from './destination.js';
import type { Expected } from './engine.js';
import { cutOffAtAcceptance } from './cut-off.js';
import { killAt } from './killer.js';
import { ModelledRun } from './modelled-run.js';
import { ADDRESSES, addressOf, type Change, type Held, type Step } from './operations.js';
import { unprovenTries } from './record.js';
import { Stage, type Place } from './stage.js';

/** How a run goes: left out, nothing happens to it. */
type Course = Omit<Step, 'changes' | 'run'> & { readonly force?: boolean };

/** Runs the exports on both sides, and compares what they did. */
export class Driver {
  /** Which run is compared, for the message of a failure. */
  private at = 'the first run';
  private steps = 0;

  private constructor(private readonly stage: Stage) {}

  static async start(place: Place): Promise<Driver> {
    return new Driver(await Stage.start(place));
  }

  async step({ changes, run, ...course }: Step): Promise<void> {
    this.steps += 1;
    for (const change of changes) await this.stage.change(change);
    await this.run(run.export, `step ${this.steps}`, { force: run.force, ...course });
  }

  /** At the end every export runs without troubles, and once more when there is nothing left to do. */
  async finish(): Promise<void> {
    await this.stage.change({ do: 'accept all' });
    for (const index of [...this.stage.exports.keys(), ...this.stage.exports.keys()])
      await this.run(index, 'after all steps');
  }

  /**
   * All exports run at the same time, with nothing to do but that some people have left: in whatever order the runs
   * prepare, the same people are off the list in the end, and each was a leaver of one run. Which run it was, and which of
   * two twins has the contact then, is open; so this comes last.
   */
  async refresh(leaves: readonly Change[]): Promise<void> {
    this.at = 'the refresh after all steps';
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
    const sum = told.reduce((before, some) => before + some, 0);
    this.compare('the leavers of all runs together', { leavers: sum, told }, { leavers, told });
    this.compareState(standingsOf);
  }

  private async run(
    index: number,
    when: string,
    { force = false, held, fault, kill, cutOff = false }: Course = {},
  ): Promise<void> {
    const { sandbox, restart } = this.stage.place;
    const at = `${when}, the run of export ${index}`;
    this.at = at;
    await this.stage.attach(index, true);
    const seenCalls = sandbox.log.length;
    const modelled = new ModelledRun(this.stage, index, force);
    // Whether a batch that is refused at once may have arrived before, in part, cannot be told from outside.
    const allowsTrouble = this.stage.destination.refused.size === 0;
    // Whether somebody was looked up before cannot either.
    const isCutOff = cutOff && allowsTrouble && !modelled.looksUp;
    const cut = isCutOff ? cutOffAtAcceptance(sandbox) : undefined;
    const allowsFault = allowsTrouble && cut === undefined;
    const faultId = fault !== undefined && allowsFault ? sandbox.addFault(fault) : undefined;
    // Nor what the server had begun when it was killed. With a try of its own, a fault leaves one to the killed server.
    const allowsKill = allowsFault && !modelled.failsNewcomers && (fault === undefined || fault.times === 1);
    const killer =
      kill !== undefined && restart !== undefined && allowsKill ? killAt(sandbox, kill, restart) : undefined;
    const runId = await this.request(index, force);
    killer?.arm();
    const isQuiet = faultId === undefined && killer === undefined && cut === undefined;
    const run = await this.end(
      runId,
      () => killer?.killing(),
      async () => {
        // In trouble nothing else happens while a run is held: what is asked twice then has the same end.
        const course = isQuiet ? held : held && { ...held, changes: [], runsOther: false };
        await this.decide(runId, modelled, course);
      },
    );
    killer?.stop();
    await killer?.killing();
    if (faultId !== undefined) sandbox.clearFaults(faultId);
    if (cut?.() === true) await this.stage.connect();
    this.at = at;
    const calls = sandbox.log.slice(seenCalls).filter(({ kind }) => kind === 'importer');
    const unproven = unprovenTries(calls);
    const mostTries = Math.max(0, ...[...unproven.values()].map(({ tries }) => tries));
    this.compare('whether anybody was sent more than three times', mostTries > 3, false);
    this.compare('whether the run goes on without a decision', true, modelled.mayEnd);
    const expected = modelled.end({ unproven, isCutOff });
    this.compareRun(run, expected);
    this.compareState();
    if (!isQuiet || modelled.wasHeld) return;
    const accepted = calls.filter(({ batchId }) => batchId !== undefined);
    const sent = accepted.reduce((sum, { contacts = 0 }) => sum + contacts, 0);
    this.compare('how many contacts the importer took in', sent, expected.sent);
    if (expected.progress.toSend === 0) this.compare('what the importer was sent', calls, []);
  }

  /** As `expect`, with a message that tells the run, and what was compared. */
  private compare(what: string, actual: unknown, expected: unknown): void {
    try {
      expect(actual).toEqual(expected);
    } catch (error: unknown) {
      const { message } = error as Error;
      throw new Error(`${this.at}: ${what}\n\n${message}`, { cause: error });
    }
  }

  /** What happens while the run is held, and how it ends. What is decided when nobody says is approved. */
  private async decide(runId: string, modelled: ModelledRun, held: Held | undefined): Promise<void> {
    if (!modelled.isDecided()) {
      for (const change of modelled.wasHeld ? [] : (held?.changes ?? [])) await this.stage.change(change);
      if (held?.runsOther && !modelled.wasHeld)
        await this.run(modelled.other, `${this.at}, held, and meanwhile`);
      this.compare('whether the run is held', true, modelled.isHeld);
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

  private compareRun({ state, problem, progress }: FinishedRun, expected: Expected): void {
    if (expected.state === 'SKIPPED') {
      const skipped = { state: 'SKIPPED', problem: expected.problem };
      this.compare('how the run ended', { state, problem: problem?.code }, skipped);
      return;
    }
    const counted = Object.fromEntries(
      Object.entries(progress).filter(([name]) => name in expected.progress),
    );
    this.compare(
      'how the run ended',
      { state, problem: problem?.code ?? null, ...counted },
      { state: expected.state, problem: expected.problem, ...expected.progress },
    );
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
    this.compare('the contacts at the destination', byKey(state), byKey(new Map(expected)));
    const { overriddenOptOuts, overlapsNotExcused } = sandbox.summary().invariants;
    const found = { overriddenOptOuts, overlapsNotExcused };
    this.compare('the invariants', found, { overriddenOptOuts: 0, overlapsNotExcused: 0 });
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
