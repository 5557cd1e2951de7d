import type { Destination, DestinationLimits } from '../destinations/destination.js';
import { LedgerTask, Standing } from '../entities/ledger.js';
import type { RejectionReason } from '../entities/rejection.js';
import type { Finding } from './compare.js';
import type { Fate } from './differences.js';
import { contactOf, type WantedContact } from './mapping.js';

type SkipReason =
  RejectionReason.MISSING_EMAIL | RejectionReason.INVALID_EMAIL | RejectionReason.DUPLICATE_EMAIL;

/** Every optional field, as bits of `LedgerEntry.everSent`. */
const ALL_FIELDS = 7;

/** Adds up what a run would make of everybody, and packs what it would send into batches as a run does. */
export function createTally(
  destination: Pick<Destination, 'bytesOf'>,
  { contactsPerBatch, bytesPerBatch }: DestinationLimits,
  listId: string,
) {
  const skipped: Record<SkipReason, number> = { MISSING_EMAIL: 0, INVALID_EMAIL: 0, DUPLICATE_EMAIL: 0 };
  const fates: Record<Fate, number> = {
    NEW: 0,
    CHANGED: 0,
    RETURNING: 0,
    UNCHANGED: 0,
    LEAVER: 0,
    REFUSED: 0,
    NONE: 0,
  };
  let delivered = 0;
  let batches = 0;
  let contacts = 0;
  let bytes = 0;
  /** Of profiles whose address the ledger knows and no segment has any more; and of newcomers. */
  const gone = new Set<string>();
  const newcomers: string[] = [];
  /** Those of `gone` that stay on the list. */
  const kept = new Set<string>();

  const pack = (wanted: string, task: LedgerTask) => {
    const contact = contactOf({ task, wanted: JSON.parse(wanted) as WantedContact, everSent: ALL_FIELDS });
    const size = destination.bytesOf(contact, listId);
    if (batches === 0 || contacts === contactsPerBatch || bytes + size > bytesPerBatch) {
      batches += 1;
      contacts = 0;
      bytes = 0;
    }
    contacts += 1;
    bytes += size;
  };

  return {
    skip: (reason: RejectionReason) => {
      skipped[reason as SkipReason] += 1;
    },
    add: ({ fate, member, known, duplicates }: Finding) => {
      fates[fate] += 1;
      skipped.DUPLICATE_EMAIL += duplicates.length;
      if (known?.standing === Standing.ON_LIST) delivered += 1;
      if (known !== undefined && member === undefined) {
        gone.add(known.profileId);
        if (fate === 'NONE' && known.standing === Standing.ON_LIST) kept.add(known.profileId);
      }
      if (fate === 'NEW' && member !== undefined) newcomers.push(member.profileId);
      if (fate === 'NEW' || fate === 'CHANGED') pack(member?.wanted ?? '', LedgerTask.PUT);
      if (fate === 'LEAVER') pack(known?.wanted ?? '', LedgerTask.REMOVE);
    },
    total: () => ({
      skipped,
      fates,
      delivered,
      /** Newcomers whose profile had another address before. */
      movers: newcomers.filter((profileId) => gone.has(profileId)).length,
      /** Newcomers who stay on the list under another address as well. */
      keptFormerAddresses: newcomers.filter((profileId) => kept.has(profileId)).length,
      importerCalls: batches + Math.ceil(fates.RETURNING / contactsPerBatch),
    }),
  };
}
