import { instantOf, isWithin, systemClock } from '../clock.js';
import {
  RetryLaterError,
  type ContactRef,
  type Credentials,
  type Membership,
} from '../destinations/destination.js';
import { callOnce, isFresh, permit } from './call-destination.js';
import { doubtEntry } from './decide-entries.js';
import { transactAs } from './fence.js';
import { isRemovalUnderWay, type RemovalWindow } from './ledger.js';
import { removalsOf } from './removals.js';
import type { RunContext } from './run-context.js';
import { count } from './run-states.js';
import type { Second } from './turns.js';

/*
 * What the destination's own record says of one person, and putting somebody back on the list whom we took off it. Each
 * call is tried once: whoever asks decides how often (see check-people.ts).
 */

/** An address, and its key in the ledger. */
export interface Address {
  readonly email: string;
  readonly emailKey: string;
}

/** Whether the address was taken off the list, and not surely by us. A removal of ours that is under way is waited for. */
export async function hasOptedOut(context: RunContext, { email, emailKey }: Address): Promise<boolean> {
  const { run, destination, bell, sending } = context;
  const contact = await callOnce(context, (credentials) => destination.findContact(credentials, email));
  if (contact === undefined) return false;
  for (;;) {
    const seen = bell.count();
    sending.signal.throwIfAborted();
    const membership = await callOnce(context, (credentials) =>
      destination.membership(credentials, contact, run.listId),
    );
    const standing = await standingOf(context, membership, emailKey);
    if (standing !== 'REMOVAL_UNDER_WAY') return standing === 'OPTED_OUT';
    await bell.after(seen);
  }
}

/**
 * Puts the address back on the list if it is off it and that was surely our doing. The call overrides an opt-out, so it is
 * made in the same turn as the look-up that it relies on, and looks again when it is tried again.
 * @returns OPTED_OUT: it is off the list, and not surely by us. MAY_BE_SENT: nothing is against it (any more).
 * @throws {RefusedContactsError} when the destination does not take the contact; {RetryLaterError};
 *   {SendingEndedError} when the run may not go on.
 */
export async function putBack(
  context: RunContext,
  { email, emailKey }: Address,
): Promise<'OPTED_OUT' | 'MAY_BE_SENT'> {
  const { destination, bell, sending } = context;
  const contact = await callOnce(context, (credentials) => destination.findContact(credentials, email));
  if (contact === undefined) return 'MAY_BE_SENT';
  for (let stale = 0; stale < MAX_STALE;) {
    const seen = bell.count();
    sending.signal.throwIfAborted();
    const outcome = await callOnce(
      context,
      (credentials, second) => lookAndPutBack(context, { credentials, second, contact, emailKey }),
      { kind: 'PAIR' },
    );
    if (outcome === 'OPTED_OUT') return outcome;
    if (outcome === 'ON_LIST' || outcome === 'PUT_BACK') return 'MAY_BE_SENT';
    if (outcome === 'STALE') stale += 1;
    else await bell.after(seen);
  }
  throw new RetryLaterError('The look-up was too old each time when the contact was to be put back.');
}

/** The two calls of one turn. STALE: too much has happened since the look-up, and nothing was changed. */
async function lookAndPutBack(
  context: RunContext,
  asked: { credentials: Credentials; second: Second; contact: ContactRef; emailKey: string },
): Promise<Exclude<Standing, 'REMOVED_BY_US'> | 'PUT_BACK' | 'STALE'> {
  const { run, services, destination } = context;
  const { contact, emailKey } = asked;
  const membership = await destination.membership(asked.credentials, contact, run.listId);
  const readAt = instantOf(systemClock);
  const standing = await standingOf(context, membership, emailKey);
  if (standing !== 'REMOVED_BY_US') return standing;
  // Once it is back it must not be forgotten there, whatever becomes of the rest.
  const proven = await transactAs(services, run, async ({ manager }) => {
    await count(manager, run, {});
    await doubtEntry(manager, run, emailKey);
    return permit(manager, context);
  });
  if (!isWithin(systemClock, readAt, RECENT_MS) || !isFresh(proven) || !asked.second()) return 'STALE';
  await destination.subscribe(proven.credentials, contact, run.listId);
  return 'PUT_BACK';
}

/** Look-ups of one try that may be too old, before the others have their turn. */
const MAX_STALE = 3;

/**
 * The longest from the answer to a look-up to the begin of the call that relies on it. By the machine's time, also at a
 * sandbox whose time runs faster: what passes in between is work of this machine, which does not run faster with it.
 */
const RECENT_MS = 1_000;

/** REMOVAL_UNDER_WAY: it was taken off the list, perhaps by a removal of ours whose end is not known yet. */
type Standing = 'ON_LIST' | 'REMOVED_BY_US' | 'OPTED_OUT' | 'REMOVAL_UNDER_WAY';

async function standingOf(
  { run, services }: RunContext,
  membership: Membership | undefined,
  emailKey: string,
): Promise<Standing> {
  const { reader } = services.database;
  if (membership?.status !== 'UNSUBSCRIBED') return 'ON_LIST';
  // Before the windows are read: a removal that ends meanwhile has its window then.
  const isUnderWay = await isRemovalUnderWay(reader, run, emailKey);
  if (isOurs(membership, await removalsOf(services, reader, run, emailKey))) return 'REMOVED_BY_US';
  return isUnderWay ? 'REMOVAL_UNDER_WAY' : 'OPTED_OUT';
}

/** The destination's record shows whole seconds. */
const RECORD_MS = 1_000;

function isOurs({ byPerson, changedAt }: Membership, removals: readonly RemovalWindow[]): boolean {
  if (byPerson || changedAt === undefined) return false;
  return removals.some(
    ({ from, to }) => changedAt >= Math.floor(from / RECORD_MS) * RECORD_MS && changedAt <= to,
  );
}
