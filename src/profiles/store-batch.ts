import type { EntityManager } from 'typeorm';
import { dialectOf } from '../bulk-sql.js';
import type { Transaction } from '../database.js';
import type { Attributes } from '../entities/profile.js';
import { addMembers, keepMembers } from './generations.js';
import { mergeBatch, type AttributeChange, type ImportMode } from './merge.js';
import type { GoodRow } from './row.js';

const MAX_SAMPLE_LENGTH = 200;

/** What goes to the database together. */
export interface ImportBatch {
  readonly rows: readonly GoodRow[];
  /** Ids of lines that were rejected: whoever was a member stays one. */
  readonly rejectedIds: readonly string[];
}

/** The segment that an import fills. */
export interface FillingSegment {
  readonly name: string;
  readonly generation: number;
}

/** Merges the batch into the profiles, keeps the attributes' figures right, and fills the segment's next generation. */
export async function storeBatch(
  { manager }: Transaction,
  batch: ImportBatch,
  options: { readonly mode: ImportMode; readonly segment: FillingSegment | undefined },
): Promise<{ stored: number; unchanged: number }> {
  const ids = JSON.stringify(batch.rows.map((row) => row.id));
  const merged = mergeBatch(batch.rows, await readProfiles(manager, ids), options.mode);
  await writeProfiles(manager, merged.changed);
  await writeAttributeChanges(manager, merged.attributes);
  if (options.segment !== undefined) {
    await addMembers(manager, options.segment.generation, ids);
    await keepMembers(manager, options.segment, batch.rejectedIds);
  }
  return { stored: merged.stored, unchanged: merged.unchanged };
}

/** @param ids a JSON array. */
export async function readProfiles(manager: EntityManager, ids: string): Promise<Map<string, Attributes>> {
  const rows = await manager.query<{ id: string; attributes: string }[]>(
    `SELECT "id", "attributes" FROM "profiles" WHERE "id" IN ${dialectOf(manager).list('$1')}`,
    [ids],
  );
  return new Map(rows.map((row) => [row.id, JSON.parse(row.attributes) as Attributes]));
}

async function writeProfiles(
  manager: EntityManager,
  profiles: ReadonlyMap<string, Attributes>,
): Promise<void> {
  if (profiles.size === 0) return;
  await manager.query(
    `INSERT INTO "profiles" ("id", "attributes")
     SELECT "id", "attributes" FROM ${dialectOf(manager).table('$1', { id: 'text', attributes: 'text' })} AS rows
     WHERE true ORDER BY "id"
     ON CONFLICT ("id") DO UPDATE SET "attributes" = excluded."attributes"`,
    [JSON.stringify([...profiles])],
  );
}

/** A value as the table of attributes shows it; never cut through the middle of a surrogate pair. */
export function cutSample(value: string): string {
  return value.slice(0, MAX_SAMPLE_LENGTH).replace(/[\ud800-\udbff]$/, '');
}

/** Adds the changes up in the table of attributes; the sample goes when the last value does. */
export async function writeAttributeChanges(
  manager: EntityManager,
  changes: ReadonlyMap<string, AttributeChange>,
): Promise<void> {
  if (changes.size === 0) return;
  const rows = [...changes].map(([name, { filled, sample }]) => [
    name,
    filled,
    sample === null ? null : cutSample(sample),
  ]);
  await manager.query(
    `INSERT INTO "profile_attributes" ("name", "filled", "sample")
     SELECT "name", "filled", "sample" FROM ${dialectOf(manager).table('$1', { name: 'text', filled: 'integer', sample: 'text' })} AS rows
     WHERE true
     ON CONFLICT ("name") DO UPDATE SET
       "filled" = "profile_attributes"."filled" + excluded."filled",
       "sample" = CASE WHEN "profile_attributes"."filled" + excluded."filled" > 0
         THEN COALESCE("profile_attributes"."sample", excluded."sample") END`,
    [JSON.stringify(rows)],
  );
}
