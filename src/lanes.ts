/**
 * What may be written at the same time, where the database can (see `transact`). Transactions of one lane come one after
 * the other, across all processes; a transaction without a lane is alone.
 */

/** The runs of a destination account, its batches and its ledgers: whatever the account's pump writes. */
export function accountLane(account: string): string {
  return `account ${account}`;
}

/** The members of a generation of a segment. */
export function generationLane(generation: number): string {
  return `generation ${generation}`;
}

/** The slot that callers of all processes share at an account, or at a host. */
export function callsLane(place: string): string {
  return `calls ${place}`;
}

/** Profiles, their attributes, and the members that an import gives to a generation. */
export const PROFILES_LANE = 'profiles';

/** Rows that are only ever added, and that nobody reads in order to write. */
export const NOTES_LANE = 'notes';
