import type { MigrationInterface, QueryRunner } from 'typeorm';
import { createTables, isPostgres, textKey } from './portable-tables.js';

/*
 * A value without any character that can be seen was a value like any other: it was counted as filled, and sent. It is empty
 * now. What was sent of it is left alone at the destination: the ledger is made to read as if the field had been
 * empty and never sent.
 */

/** src/visible.ts as it was on 2026-12-01, without NUL, which no text holds. */
const INVISIBLE: readonly (readonly [from: number, to: number])[] = [
  ...([
    [0x01, 0x20],
    [0x7f, 0xa0],
    [0xad, 0xad],
    [0x34f, 0x34f],
    [0x61c, 0x61c],
    [0x115f, 0x1160],
  ] as const),
  ...([
    [0x1680, 0x1680],
    [0x17b4, 0x17b5],
    [0x180b, 0x180f],
    [0x2000, 0x200f],
    [0x2028, 0x202f],
  ] as const),
  ...([
    [0x205f, 0x206f],
    [0x2800, 0x2800],
    [0x3000, 0x3000],
    [0x3164, 0x3164],
    [0xfe00, 0xfe0f],
  ] as const),
  ...([
    [0xfeff, 0xfeff],
    [0xffa0, 0xffa0],
    [0xfff0, 0xfffb],
    [0x13430, 0x1343f],
    [0x1bca0, 0x1bca3],
  ] as const),
  ...([
    [0x1d173, 0x1d17a],
    [0xe0000, 0xe0fff],
  ] as const),
];

/** Profiles, and which of their values cannot be seen. */
const VALUES = 'invisible_values';

/** The optional fields of a contact by their place in `wanted`, and their bit in `filled` and `everSent`. */
const FIELDS = [
  { name: 'firstName', place: 1, bit: 1 },
  { name: 'lastName', place: 2, bit: 2 },
  { name: 'phone', place: 3, bit: 4 },
] as const;
const ALL_BITS = 7;

const MAX_SAMPLE_LENGTH = 200;

export class InvisibleValues1796120000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const sql = dialectOf(runner);
    await emptyLedger(runner, sql);
    await createTables(runner, { [VALUES]: { profileId: textKey, name: textKey } });
    await runner.query(
      `INSERT INTO "${VALUES}" ("profileId", "name") SELECT "profiles"."id", "entry".key
       FROM "profiles", ${sql.entries('"profiles"."attributes"')} AS "entry" WHERE ${sql.isInvisible('"entry".value')}`,
      [characters()],
    );
    await countAnew(runner, sql);
    await forgetSent(runner, sql);
    await runner.dropTable(VALUES);
  }

  /** Which of the empty values had been others is not known any more. */
  async down(): Promise<void> {
    // Nothing to undo.
  }
}

/** Makes entries read as if those fields had been empty and never sent. */
async function emptyLedger(runner: QueryRunner, sql: Dialect): Promise<void> {
  const changes: string[] = [];
  const isInvisible = {
    wanted: sql.isItemInvisible('"wanted"'),
    delivered: sql.isItemInvisible('"delivered"'),
  };
  for (const column of ['wanted', 'delivered'] as const) {
    const values = FIELDS.map(
      ({ place }) =>
        `CASE WHEN ${isInvisible[column](place)} THEN '' ELSE ${sql.item(`"${column}"`, place)} END`,
    );
    const isAny = FIELDS.map(({ place }) => isInvisible[column](place)).join(' OR ');
    const emptied = sql.array([sql.item(`"${column}"`, 0), ...values]);
    changes.push(`"${column}" = CASE WHEN ${isAny} THEN ${emptied} ELSE "${column}" END`);
  }
  const maskOf = (which: readonly ('wanted' | 'delivered')[]) =>
    FIELDS.map(({ place, bit }) => {
      const isOff = which.map((column) => isInvisible[column](place)).join(' OR ');
      return `(CASE WHEN ${isOff} THEN ${ALL_BITS - bit} ELSE ${ALL_BITS} END)`;
    }).join(' & ');
  changes.push(`"filled" = "filled" & ${maskOf(['wanted'])}`);
  changes.push(`"everSent" = "everSent" & ${maskOf(['wanted', 'delivered'])}`);
  const where = FIELDS.flatMap(({ place }) => [isInvisible.wanted(place), isInvisible.delivered(place)]);
  await runner.query(`UPDATE "ledger_entries" SET ${changes.join(', ')} WHERE ${where.join(' OR ')}`, [
    characters(),
  ]);
}

/** Takes the values off the figures of their attributes, and puts another sample where one of them was. */
async function countAnew(runner: QueryRunner, sql: Dialect): Promise<void> {
  await runner.query(
    `UPDATE "profile_attributes" SET "filled" = "filled" -
       (SELECT COUNT(*) FROM "${VALUES}" AS "value" WHERE "value"."name" = "profile_attributes"."name")
     WHERE "name" IN (SELECT "name" FROM "${VALUES}")`,
  );
  const found = (await runner.query(
    `SELECT "name" FROM "profile_attributes" WHERE ${sql.isInvisible('"sample"')}`,
    [characters()],
  )) as { name: string }[];
  for (const { name } of found) {
    // SQLite numbers parameters in the order in which they stand.
    const [another] = (await runner.query(
      `SELECT "entry".value AS "value" FROM "profiles", ${sql.entries('"profiles"."attributes"')} AS "entry"
       WHERE NOT ${sql.isInvisible('"entry".value')} AND "entry".value <> '' AND "entry".key = $2 LIMIT 1`,
      [characters(), name],
    )) as { value: string }[];
    const sample = another?.value.slice(0, MAX_SAMPLE_LENGTH).replace(/[\ud800-\udbff]$/, '') ?? null;
    await runner.query('UPDATE "profile_attributes" SET "sample" = $1 WHERE "name" = $2', [sample, name]);
  }
}

/**
 * Where an import has brought such a value since the last run, the next run would clear what was sent before. It is left
 * alone as well: nobody has asked for an empty field.
 */
async function forgetSent(runner: QueryRunner, sql: Dialect): Promise<void> {
  for (const { name, bit } of FIELDS) {
    await runner.query(
      `UPDATE "ledger_entries" SET "everSent" = "everSent" & ${ALL_BITS - bit}
       WHERE "profileId" IN (SELECT "profileId" FROM "${VALUES}") AND EXISTS (
         SELECT 1 FROM "${VALUES}" AS "value" JOIN "exports" ON "value"."name" = ${sql.key('"exports"."mapping"', name)}
           JOIN "ledgers" ON "ledgers"."exportId" = "exports"."id"
         WHERE "ledgers"."id" = "ledger_entries"."ledgerId" AND "value"."profileId" = "ledger_entries"."profileId")`,
    );
  }
}

/** All of them as one text, which is bound to `$1`. */
function characters(): string {
  return INVISIBLE.map(([from, to]) =>
    Array.from({ length: to - from + 1 }, (_, index) => String.fromCodePoint(from + index)).join(''),
  ).join('');
}

/** What the databases say differently; src/dialect.ts as it was. */
interface Dialect {
  readonly item: (column: string, place: number) => string;
  readonly key: (column: string, name: string) => string;
  readonly array: (items: readonly string[]) => string;
  readonly entries: (column: string) => string;
  /** True of a text that is not empty and has no character that can be seen. `$1` are those characters. */
  readonly isInvisible: (text: string) => string;
  /** The same of an item of `wanted` or `delivered`, which may be no array. */
  readonly isItemInvisible: (column: string) => (place: number) => string;
}

function dialectOf(runner: QueryRunner): Dialect {
  const onPostgres = isPostgres(runner);
  const json = onPostgres ? '::json' : '';
  const item = (column: string, place: number) => `(${column}${json} ->> ${place})`;
  // The first character tells nearly always: without it, taking the characters off each text would take minutes.
  const code = (text: string) => (onPostgres ? `ascii(${text})` : `unicode(${text})`);
  const isFirst = (text: string) =>
    INVISIBLE.map(([from, to]) => `${code(text)} BETWEEN ${from} AND ${to}`).join(' OR ');
  const isInvisible = (text: string) =>
    `COALESCE(CASE WHEN ${text} <> '' AND (${isFirst(text)}) THEN trim(${text}, $1) = '' END, FALSE)`;
  return {
    item,
    key: (column, name) => `(${column}${json} ->> '${name}')`,
    array: (items) =>
      onPostgres
        ? `'[' || ${items.map((one) => `COALESCE(to_json(${one})::text, 'null')`).join(` || ',' || `)} || ']'`
        : `json_array(${items.join(', ')})`,
    entries: (column) => (onPostgres ? `json_each_text(${column}::json)` : `json_each(${column})`),
    isInvisible,
    isItemInvisible: (column) => (place) =>
      `(CASE WHEN ${column} LIKE '[%' THEN ${isInvisible(item(column, place))} ELSE FALSE END)`,
  };
}
