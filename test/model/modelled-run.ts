import type { Trouble } from './delivery.js';
import { CANCELED, type Expected, type Prepared } from './engine.js';
import type { Held } from './operations.js';
import type { Stage } from './stage.js';

/** A run in the model, across the times that it is held. */
export class ModelledRun {
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

  get isHeld(): boolean {
    return this.prepared.isHeld;
  }

  /** Whether nobody has to decide about it any more. */
  get mayEnd(): boolean {
    return this.decision === 'cancel' || !this.prepared.isHeld;
  }

  get failsNewcomers(): boolean {
    return this.prepared.failsNewcomers;
  }

  get looksUp(): boolean {
    return this.prepared.looksUp;
  }

  /** Whether somebody has decided about the run as it is held now: then a kill kept the decision from arriving. */
  isDecided(): boolean {
    return this.decision === 'cancel' || (this.approvals > 0 && !this.prepared.isHeld);
  }

  decide(decision: Held['decision']): void {
    this.wasHeld = true;
    this.decision = decision;
    if (decision === 'cancel') return;
    this.approvals += 1;
    const { force } = this;
    const options = { force, approved: this.prepared.leavers };
    this.prepared = this.stage.model.prepare(this.stage.exportAt(this.index), options);
  }

  end(trouble: Trouble): Expected {
    if (this.decision === 'cancel') return CANCELED;
    return this.prepared.deliver(trouble);
  }
}
