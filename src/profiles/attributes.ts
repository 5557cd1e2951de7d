import type { Database } from '../database.js';
import { ProfileAttribute } from '../entities/profile-attribute.js';
import { BadInputError } from '../errors.js';
import { nearestOf } from '../nearest.js';
import { quote } from './rules.js';

const ID_COLUMN =
  'If it is the column that holds the ids, import the file again with idAttribute=true (import: --id-attribute).';

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
      ? `Import profiles with this attribute first, or name one of profileAttributes. ${ID_COLUMN}`
      : `Did you mean ${quote(nearest)}? profileAttributes lists them all. ${ID_COLUMN}`,
  );
}
