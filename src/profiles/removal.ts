import type { EntityManager } from 'typeorm';
import { NO_SUBJECT, record, type SignedInActor } from '../audit/record.js';
import { dialectOf } from '../bulk-sql.js';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import type { Attributes } from '../entities/profile.js';
import { ProfileAttribute } from '../entities/profile-attribute.js';
import { BadInputError } from '../errors.js';
import { hasVisibleCharacter } from '../visible.js';
import { AttributeChanges } from './merge.js';
import { cutSample, readProfiles, writeAttributeChanges } from './store-batch.js';

const MAX_IDS = 1_000;
/** Values that are read to find one that can be seen; nearly always the first can. */
const VALUES_AT_ONCE = 100;

/**
 * Removes profiles, from all segments too. An import that is under way brings those back that it has not read yet.
 * @param ids at most 1,000.
 * @returns how many of them there were.
 */
export async function removeProfiles(
  { database, clock }: { readonly database: Database; readonly clock: Clock },
  actor: SignedInActor,
  ids: readonly string[],
): Promise<number> {
  if (ids.length > MAX_IDS) {
    throw new BadInputError(
      'ids',
      `There are ${ids.length} ids.`,
      'Remove at most 1,000 profiles at a time.',
    );
  }
  const list = JSON.stringify(ids);
  return database.transact(async ({ manager }) => {
    const theirs = dialectOf(manager).list('$1');
    const profiles = await readProfiles(manager, list);
    await manager.query(
      `UPDATE "segments" SET "memberCount" = "memberCount" - (
         SELECT COUNT(*) FROM "segment_members" AS members
         WHERE members."generation" = "segments"."generation" AND members."profileId" IN ${theirs})`,
      [list],
    );
    // By the generations that there are, not by id alone: the key begins with the generation.
    await manager.query(
      `DELETE FROM "segment_members"
       WHERE "generation" IN (SELECT "id" FROM "segment_generations") AND "profileId" IN ${theirs}`,
      [list],
    );
    await manager.query(`DELETE FROM "profiles" WHERE "id" IN ${theirs}`, [list]);
    await forgetAttributes(manager, [...profiles.values()]);
    // Not whom: ids can be addresses, and who was removed is to be forgotten.
    await record(manager, {
      at: new Date(clock.now()),
      actor,
      action: 'removeProfiles',
      subjectType: 'Profile',
      subjectId: NO_SUBJECT,
      detail: { removed: profiles.size },
    });
    return profiles.size;
  });
}

/** Takes the values off the attributes' figures, and no sample stays behind that was a removed profile's. */
async function forgetAttributes(manager: EntityManager, removed: readonly Attributes[]): Promise<void> {
  const changes = new AttributeChanges();
  for (const attributes of removed) changes.note(attributes, undefined);
  await writeAttributeChanges(manager, changes.byName);

  const attributes = await manager.find(ProfileAttribute);
  for (const { name, sample } of attributes) {
    const wasTheirs = removed.some((profile) => cutSample(profile[name] ?? '') === sample);
    if (sample === null || !wasTheirs) continue;
    const another = await findVisibleValue(manager, name);
    await manager.update(ProfileAttribute, name, { sample: cutSample(another ?? '') || null });
  }
}

/** A value of the attribute that can be seen; undefined: there is none. What cannot be seen is told in JavaScript alone. */
async function findVisibleValue(manager: EntityManager, name: string): Promise<string | undefined> {
  const sql = `SELECT "profiles"."id" AS "id", value
    FROM "profiles", ${dialectOf(manager).entries('"profiles"."attributes"')}
    WHERE key = $1 AND value <> '' AND "profiles"."id" > $2 ORDER BY "profiles"."id" LIMIT ${VALUES_AT_ONCE}`;
  for (let after: string | undefined = ''; after !== undefined;) {
    const rows: { id: string; value: string }[] = await manager.query(sql, [name, after]);
    const found = rows.find(({ value }) => hasVisibleCharacter(value));
    if (found !== undefined) return found.value;
    after = rows.length < VALUES_AT_ONCE ? undefined : rows.at(-1)?.id;
  }
  return undefined;
}
