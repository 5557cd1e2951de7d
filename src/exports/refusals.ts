import type { RejectionReason } from '../entities/rejection.js';

/**
 * What the ledger remembers of a contact that the destination refused, or that we kept back because its person had opted
 * out. It stands: the same contact is not tried again until its data changes or STANDS_DAYS have passed.
 */
export interface Refusal {
  readonly reason: RejectionReason.REFUSED_BY_DESTINATION | RejectionReason.OPTED_OUT;
  readonly detail: string;
  /** In ms since 1970. */
  readonly at: number;
  /** It was refused in an earlier run too, so that it is no sign of a full account: see account-full.ts. */
  readonly wasRefused?: true;
}

const DAY_MS = 86_400_000;
const STANDS_DAYS = 30;

export function stillStands({ at }: Refusal, now: number): boolean {
  return now < at + STANDS_DAYS * DAY_MS;
}

/** For the person who reads the rejection of somebody who was not tried again. */
export function standingDetail({ detail, at }: Refusal): string {
  const [since, until] = [at, at + STANDS_DAYS * DAY_MS].map((ms) => new Date(ms).toISOString().slice(0, 10));
  return `${detail} Not tried again since ${since ?? ''}: until the data of the profile changes, or ${until ?? ''} has come.`;
}
