import type { Database } from '../database.js';
import { ProfileAttribute } from '../entities/profile-attribute.js';
import { BadInputError } from '../errors.js';
import { quote } from './rules.js';

interface AttributeServices {
  readonly database: Database;
}

/** Every attribute that some import named, by name. */
export async function listAttributes({ database }: AttributeServices): Promise<ProfileAttribute[]> {
  return database.reader.find(ProfileAttribute, { order: { name: 'ASC' } });
}

/**
 * @param field of the input that holds the names.
 * @throws {BadInputError} for the first name that no profile has ever had, with the nearest one that exists.
 */
export async function assertAttributesExist(
  services: AttributeServices,
  names: readonly string[],
  field: string,
): Promise<void> {
  const known = (await listAttributes(services)).map((attribute) => attribute.name);
  const missing = names.find((name) => !known.includes(name));
  if (missing === undefined) return;
  const nearest = nearestOf(missing, known);
  throw new BadInputError(
    field,
    `No profile has an attribute named ${quote(missing)}.`,
    nearest === undefined
      ? 'Import profiles with this attribute first, or name one of profileAttributes.'
      : `Did you mean ${quote(nearest)}? profileAttributes lists them all.`,
  );
}

/** The known name that takes the fewest edits, if it is near enough to be what was meant. */
function nearestOf(name: string, known: readonly string[]): string | undefined {
  const wanted = name.toLowerCase();
  let nearest: string | undefined;
  let fewest = Math.max(2, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of known) {
    const edits = editDistance(wanted, candidate.toLowerCase());
    if (edits < fewest) [nearest, fewest] = [candidate, edits];
  }
  return nearest;
}

/** Levenshtein: insertions, deletions and replacements that turn one text into the other. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + Number(from[i - 1] !== to[j - 1]);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
