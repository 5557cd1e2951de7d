import { Failure } from '../client/failure.js';
import type { ProfilesFile } from '../client/profiles-file.js';
import { FIELDS, type Field } from './options.js';
import { columnsOf, isBlank, rowsOf } from './rows.js';

/** Which column holds which field; what the file does not have is not mapped. */
export type ColumnMapping = Readonly<{ email: string } & Partial<Record<Field, string>>>;

/** A person as the destination is meant to hold him. */
export type MeantContact = Readonly<{ profileId: string } & Record<Field, string>>;

/** Why a profile is not sent, in Sluice's words. */
export type SkipReason = 'MISSING_EMAIL' | 'INVALID_EMAIL' | 'DUPLICATE_EMAIL';

/** What is to become of every row, counted by the demo itself. */
export interface Meant {
  /** Rows with data. */
  readonly rows: number;
  /** Rows that cannot be taken. */
  readonly rejectedRows: number;
  /** Rows that name an id again. */
  readonly repeatedRows: number;
  readonly profiles: number;
  /** By lower-case address. */
  readonly contacts: ReadonlyMap<string, MeantContact>;
  /** By the profile's id. */
  readonly skipped: ReadonlyMap<string, { readonly reason: SkipReason; readonly email: string }>;
}

/** Column names as files have them when nobody named the column. */
const USUAL_NAMES: Readonly<Record<Field, string>> = {
  email: 'email',
  firstName: 'firstname',
  lastName: 'lastname',
  phone: 'phone',
};

/**
 * Finds the columns by name, without regard to case, spaces, hyphens and underscores: `E-Mail` is `email`.
 * @param named columns that somebody named; they must be there.
 */
export async function mapColumns(
  file: ProfilesFile,
  idColumn: string,
  named: Readonly<Partial<Record<Field, string>>>,
): Promise<ColumnMapping> {
  const columns = await columnsOf(file);
  if (columns.length === 0) {
    throw new Failure('The file has no columns that could be read.', 'Is it the right file?');
  }
  const list = columns.map((column) => `"${column}"`).join(', ');
  const assertThere = (column: string) => {
    if (columns.includes(column)) return;
    throw new Failure(`The file has no column "${column}"; its columns are ${list}.`, 'Name one of these.');
  };
  assertThere(idColumn);
  const mapping: Partial<Record<Field, string>> = {};
  for (const field of FIELDS) {
    const found = columns.find(
      (column) =>
        column !== idColumn && column.toLowerCase().replaceAll(/[\s_-]/g, '') === USUAL_NAMES[field],
    );
    const column = named[field] ?? found;
    if (column === undefined) continue;
    assertThere(column);
    mapping[field] = column;
  }
  if (mapping.email === undefined || mapping.email === idColumn) {
    throw new Failure(
      `No column of the file is known to hold the e-mail addresses; its columns are ${list}, with "${idColumn}" for the id.`,
      'Name it with --email COLUMN; the column of the id cannot be it.',
    );
  }
  return { ...mapping, email: mapping.email };
}

/** One @ with something before it, nothing that ActiveCampaign refuses or nobody sees, a domain that ends like .com. */
const ADDRESS =
  /^[^\s\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2800"(),:;<>@[\\\]]+@(?:[\p{L}\p{M}\p{N}-]+\.)+(?:[\p{L}\p{M}]{2,}|xn--[a-z0-9-]+)$/iu;
const MAX_ADDRESS_LENGTH = 254;

/** Reads the file and works out, row by row, what is to become of it. */
export async function workOutMeant(
  file: ProfilesFile,
  idColumn: string,
  mapping: ColumnMapping,
): Promise<Meant> {
  const people = new Map<string, Partial<Record<Field, string>>>();
  let rows = 0;
  let rejectedRows = 0;
  let repeatedRows = 0;
  for await (const row of rowsOf(file, idColumn)) {
    rows += 1;
    if (row === null) {
      rejectedRows += 1;
      continue;
    }
    const id = row.get(idColumn)?.trim() ?? '';
    const before = people.get(id);
    if (before !== undefined) repeatedRows += 1;
    people.set(id, { ...before, ...pickFields(row, mapping) });
  }
  return { rows, rejectedRows, repeatedRows, profiles: people.size, ...decide(people) };
}

/** A row that lacks a column says nothing about it: what an earlier row said stays. */
function pickFields(
  row: ReadonlyMap<string, string>,
  mapping: ColumnMapping,
): Partial<Record<Field, string>> {
  const fields: Partial<Record<Field, string>> = {};
  for (const field of FIELDS) {
    const column = mapping[field];
    const value = column === undefined ? undefined : row.get(column);
    if (value !== undefined) fields[field] = isBlank(value) ? '' : value.trim();
  }
  return fields;
}

function decide(
  people: ReadonlyMap<string, Partial<Record<Field, string>>>,
): Pick<Meant, 'contacts' | 'skipped'> {
  const contacts = new Map<string, MeantContact>();
  const skipped = new Map<string, { reason: SkipReason; email: string }>();
  for (const [profileId, person] of people) {
    const { email = '', firstName = '', lastName = '', phone = '' } = person;
    if (email === '') {
      skipped.set(profileId, { reason: 'MISSING_EMAIL', email });
      continue;
    }
    if (email.length > MAX_ADDRESS_LENGTH || !ADDRESS.test(email)) {
      skipped.set(profileId, { reason: 'INVALID_EMAIL', email });
      continue;
    }
    const key = email.toLowerCase();
    const contact = { profileId, email, firstName, lastName, phone };
    const other = contacts.get(key);
    const [first, second] =
      other === undefined || isBefore(profileId, other.profileId) ? [contact, other] : [other, contact];
    contacts.set(key, first);
    if (second !== undefined)
      skipped.set(second.profileId, { reason: 'DUPLICATE_EMAIL', email: second.email });
  }
  return { contacts, skipped };
}

/** Of profiles with one address the first by id is sent, in the order of the ids' UTF-8 bytes: "10" is before "9". */
function isBefore(id: string, other: string): boolean {
  return Buffer.compare(Buffer.from(id), Buffer.from(other)) < 0;
}
