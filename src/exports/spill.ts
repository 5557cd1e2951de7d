import { compareUtf8 } from '../bulk-sql.js';
import { openSortedSpill, type SortedSpill } from '../sorted-spill.js';
import type { WantedMember } from './mapping.js';

/** Members on their way from the order of ids into the order of e-mail keys, in which the ledger lies. */
export type Spill = SortedSpill<WantedMember>;

/**
 * Makes an empty spill of members, by e-mail key and then by profile id, in the order of UTF-8 bytes.
 * @param directory on a disk that has room for some 150 bytes a member.
 */
export function openSpill(directory: string): Promise<Spill> {
  return openSortedSpill(directory, compareMembers);
}

function compareMembers(a: WantedMember, b: WantedMember): number {
  return compareUtf8(a.emailKey, b.emailKey) || compareUtf8(a.profileId, b.profileId);
}
