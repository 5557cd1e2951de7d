import type { Scanner } from '../database.js';
import type { Destination } from '../destinations/destination.js';
import type { Mapping } from '../entities/export.js';
import type { Profile } from '../entities/profile.js';
import { memberPages } from '../profiles/members.js';
import { filledFields, mapProfile, type WantedMember } from './mapping.js';
import type { NewRejection } from './rejections.js';
import type { Spill } from './spill.js';

/** Members that are read, mapped and set aside at once: some 10 ms, and so few that most of what they leave dies young. */
const PAGE = 2_500;

/**
 * Walks the members of some generations by id and maps each: who has a usable address goes into the spill.
 * @returns page by page, who has none.
 */
export async function* stageMembers(
  scanner: Scanner,
  generations: readonly number[],
  mapping: Mapping,
  destination: Pick<Destination, 'emailProblem'>,
  spill: Spill,
): AsyncGenerator<NewRejection[]> {
  for await (const page of memberPages(scanner, generations, PAGE)) {
    const { wanted, rejections } = mapPage(page, mapping, destination);
    await spill.add(wanted);
    yield rejections;
  }
}

function mapPage(
  page: readonly Profile[],
  mapping: Mapping,
  destination: Pick<Destination, 'emailProblem'>,
): { wanted: WantedMember[]; rejections: NewRejection[] } {
  const wanted: WantedMember[] = [];
  const rejections: NewRejection[] = [];
  for (const { id, attributes } of page) {
    const mapped = mapProfile(attributes, mapping, (email) => destination.emailProblem(email));
    if ('wanted' in mapped) {
      const { emailKey, wanted: contact } = mapped;
      const filled = filledFields(contact);
      wanted.push({ emailKey, profileId: id, wanted: JSON.stringify(contact), filled });
    } else {
      rejections.push({ ...mapped, profileId: id });
    }
  }
  return { wanted, rejections };
}
