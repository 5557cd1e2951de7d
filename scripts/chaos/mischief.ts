import type { Sandbox } from '../../sandbox/sandbox.js';
import type { Point } from './points.js';
import type { Random } from './random.js';
import type { World } from './world.js';

type Fault = Parameters<Sandbox['addFault']>[0];

/** From acceptance to the end, in sandbox time: long enough for most kills to fall before the end. */
const PROCESSING_MS = 15_000;
/**
 * Longer than a restart takes, so that who sends again does so while the first is not decided yet; and shorter than the
 * five minutes after which a batch counts as lost.
 */
const SLOW_PROCESSING_MS = 240_000;
/**
 * What people unsubscribe from. One without a campaign, at the very time of a removal of ours, could not be told from
 * that by anybody.
 */
const CAMPAIGN = '7';
const SLOW_LIVES = 8;
/** In one of so many lives the importer goes out of order, and the next life starts into that. */
const OUTAGE_LIVES = 16;
const FIRST_OF_OUTAGE = 4;
/**
 * Calls that an outage lasts: three open the circuit breaker, the others are its tests, after 1, 3 and 7 minutes. More would
 * come near the deadline of a run.
 */
const OUTAGE_CALLS = { least: 4, most: 6 };
const POLL_MS = 20;

/** What goes wrong at the destination, and what people do there by themselves. */
export class Mischief {
  private slow = false;

  constructor(
    private readonly sandbox: Sandbox,
    private readonly world: World,
    private readonly random: Random,
  ) {}

  /** Sets the scene for the nth life of the server: some faults, and how fast the importer is. */
  async arrange(nth: number, { trigger }: Point): Promise<void> {
    const lifeOfOutage = (nth % OUTAGE_LIVES) - FIRST_OF_OUTAGE;
    if (lifeOfOutage !== 1) this.sandbox.clearFaults();
    if (lifeOfOutage === 0) this.beginOutage();
    for (let faults = this.random.whole(0, 3); faults > 0; faults -= 1) this.sandbox.addFault(this.fault());
    // The server waits for half a minute; a kill that depends on what comes after would be waited for in vain.
    if (trigger.at === 'OUTSIDE' && this.random.chance(0.3)) this.loseReceipt(this.random.whole(1, 8));
    // Two in a row, so that a server starts again into the slowness.
    await this.setPace(nth % SLOW_LIVES < 2);
  }

  /** Nothing goes wrong from here on, and what was accepted is decided. */
  async end(): Promise<void> {
    this.sandbox.clearFaults();
    await this.setPace(false);
    await this.idle();
  }

  /** The next batch but some is accepted, and nobody ever hears of it. */
  loseReceipt(nth: number): void {
    this.sandbox.addFault({ on: 'importer', nth, action: { type: 'hang', when: 'after' } });
  }

  /** Somebody takes an address off a list that it is on, or was. */
  optOut(): void {
    const somebody = this.world.somebody();
    if (somebody === undefined) return;
    const { email, listId } = somebody;
    const contact = this.sandbox.contact(email);
    if (contact?.lists.some(({ list }) => list === listId) !== true) return;
    this.sandbox.unsubscribe(email, listId, { campaign: CAMPAIGN });
    this.world.noteOptOut(listId, email);
  }

  private beginOutage(): void {
    const action = this.random.pick<Fault['action']>([
      { type: 'answer', status: 500 },
      { type: 'html' },
      { type: 'reset', when: 'after' },
    ]);
    const times = this.random.whole(OUTAGE_CALLS.least, OUTAGE_CALLS.most);
    this.sandbox.addFault({ on: 'importer', times, action });
  }

  private fault(): Fault {
    const nth = this.random.whole(1, 8);
    return this.random.pick<Fault>([
      { on: 'importer', nth, action: { type: 'reset', when: 'before' } },
      { on: 'importer', nth, action: { type: 'reset', when: 'after' } },
      { on: 'importer', nth, action: { type: 'truncate' } },
      { on: 'importer', nth, times: 2, action: { type: 'answer', status: 502 } },
      { on: 'any', nth, action: { type: 'answer', status: 503 } },
      { on: 'info', nth, times: 2, action: { type: 'answer', status: 500 } },
      { on: 'info', nth, action: { type: 'reset', when: 'before' } },
      { on: 'any', nth, action: { type: 'rate-limit' } },
      { on: 'importer', nth, action: { type: 'quota' } },
      { on: 'importer', nth, times: 2, action: { type: 'batch', status: 'failed' } },
      { on: 'importer', nth, action: { type: 'batch', status: 'interrupted' } },
      { on: 'importer', nth, action: { type: 'withhold', polls: 4 } },
      { on: 'importer', nth, action: { type: 'slow', delayMs: 5_000 } },
    ]);
  }

  /**
   * The importer works batches in the order of their arrival; were it made faster while it works, a later one could
   * overtake an earlier one, and nobody could say which values are right.
   */
  private async setPace(slow: boolean): Promise<void> {
    if (this.slow && !slow) await this.idle();
    this.slow = slow;
    this.sandbox.set({ processingMs: slow ? SLOW_PROCESSING_MS : PROCESSING_MS });
  }

  private async idle(): Promise<void> {
    while (this.sandbox.summary().batches.undecided > 0) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
