import type { Sandbox } from '../../sandbox/sandbox.js';
import type { Folder } from './server-process.js';
import type { Violations } from './violations.js';

/**
 * Two undecided batches with one address for one list are allowed where the server could not know of the first: the
 * sandbox's own faults kept its receipt or results back, or the server died after the acceptance and before the receipt
 * was durable. The sandbox cannot tell the latter; the servers' own records of durable receipts can.
 */
export class OverlapWatcher {
  /** Ends of servers, in sandbox time. */
  private readonly deaths: number[] = [];
  private forgiven = 0;

  constructor(
    private readonly sandbox: Sandbox,
    private readonly folder: Folder,
  ) {}

  noteDeath(): void {
    this.deaths.push(this.sandbox.now());
  }

  /** Looks at the overlaps since the last time; often, because the sandbox keeps some only. */
  judge(violations: Violations): void {
    const overlaps = this.sandbox.account.judge.overlaps.splice(0);
    if (overlaps.length === 0) return;
    const acceptedAt = new Map(this.sandbox.batches().map(({ batchId, acceptedAt: at }) => [batchId, at]));
    const durable = new Set(this.folder.recorded('RECEIPT'));
    for (const { email, list, first, second, excuse } of overlaps) {
      const from = acceptedAt.get(first) ?? 0;
      const to = acceptedAt.get(second) ?? 0;
      const diedBetween = this.deaths.some((at) => at > from && at < to);
      if (excuse !== null || (diedBetween && !durable.has(first))) this.forgiven += 1;
      else
        violations.add(
          'one undecided batch for an address and list',
          `${email}, list ${list}: ${first}, ${second}`,
        );
    }
  }

  /** Who has a receipt asks what became of the batch; only who has none sends again without asking. */
  judgeReceipts(violations: Violations): void {
    const asked = new Set(this.sandbox.log.filter(({ kind }) => kind === 'info').map(({ query }) => query));
    for (const receipt of this.folder.recorded('RECEIPT')) {
      const isAsked = [...asked].some((query) => query.includes(receipt));
      if (!isAsked) violations.add('a receipt that is kept is followed up', receipt);
    }
  }

  get excused(): number {
    return this.forgiven;
  }
}
