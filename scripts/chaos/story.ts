import { setTimeout as pause } from 'node:timers/promises';
import type { Sandbox } from '../../sandbox/sandbox.js';
import { FINAL_STATES, type Api } from './api.js';
import type { Mischief } from './mischief.js';
import type { Scene } from './points.js';
import type { Random } from './random.js';
import { EXPORTS, type World } from './world.js';

const LOOK_EVERY_MS = 25;
/** Within this a run under way is cancelled. */
const CANCEL_WITHIN_MS = 150;
/** Longer than an open circuit breaker waits for its next test: 32 minutes of the sandbox's time. */
const SETTLED_TIMEOUT_MS = 180_000;

/** What people do with the server, as often as it takes, whatever becomes of it meanwhile. */
export class Story {
  /** Runs that the server promised. */
  readonly promisedRuns = new Set<string>();
  /** Runs that the server promised to end. */
  readonly promisedCancels = new Set<string>();
  /** How often people have done all that they do. */
  rounds = 0;
  private exportIds: Map<string, string> | undefined;

  constructor(
    private readonly sandbox: Sandbox,
    private readonly world: World,
    private readonly mischief: Mischief,
    private readonly random: Random,
  ) {}

  get isSetUp(): boolean {
    return this.exportIds !== undefined;
  }

  /** Goes on for ever: the server's end is its end. */
  async perform(api: Api, scene: Scene): Promise<never> {
    await this.catchUp(api);
    for (;;) {
      const changed = this.random.shuffle(this.world.segments).slice(0, this.random.whole(1, 3));
      for (const segment of scene === 'IMPORT' ? this.world.segments : changed) this.world.change(segment);
      await this.importPending(api);
      for (const { name } of this.random.shuffle(EXPORTS)) {
        if (this.random.chance(0.9)) await this.run(api, name, this.random.chance(0.15));
      }
      for (let times = this.random.whole(0, 3); times > 0; times -= 1) this.mischief.optOut();
      if (scene === 'CANCEL' || this.random.chance(0.2)) await this.cancelOne(api);
      // Else people go on while runs are under way.
      if (this.random.chance(0.6)) await this.untilSettled(api);
      this.rounds += 1;
    }
  }

  /** Whatever an earlier server did not get done: imports that nobody confirmed, the connection, the exports. */
  async catchUp(api: Api): Promise<void> {
    await this.importPending(api);
    this.exportIds ??= await api.ensureExports(await api.ensureConnection(this.sandbox));
  }

  /** Runs every export once and waits for the end of all. @returns the runs' ids by export. */
  async runAll(api: Api): Promise<Map<string, string>> {
    const ids = new Map<string, string>();
    for (const { name } of EXPORTS) ids.set(name, await this.run(api, name, false));
    await this.untilSettled(api);
    return ids;
  }

  /** @returns whether every run came to its end in time. */
  async untilSettled(api: Api): Promise<boolean> {
    const deadline = performance.now() + SETTLED_TIMEOUT_MS;
    while (performance.now() < deadline) {
      if ((await api.unfinishedRuns()).length === 0) return true;
      await pause(LOOK_EVERY_MS);
    }
    return false;
  }

  private async importPending(api: Api): Promise<void> {
    for (const segment of [...this.world.pending]) {
      await api.import(segment, this.world.csv(segment));
      this.world.pending.delete(segment);
    }
  }

  private async run(api: Api, name: string, force: boolean): Promise<string> {
    const id = await api.runExport(this.exportIds?.get(name) ?? '', force);
    this.promisedRuns.add(id);
    return id;
  }

  private async cancelOne(api: Api): Promise<void> {
    await pause(this.random.whole(0, CANCEL_WITHIN_MS));
    const [run] = this.random.shuffle(await api.unfinishedRuns());
    if (run === undefined) return;
    const state = await api.cancel(run.id);
    if (state === 'CANCELED' || !FINAL_STATES.includes(state)) this.promisedCancels.add(run.id);
  }
}
