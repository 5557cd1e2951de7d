import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const FIRST_NAMES = [
  ...['Ada', 'Björn', 'Chloé', 'Dmitri', 'Élodie', 'Farid', 'Greta', 'Hugo', 'Inés', 'Jonas', 'Katarína'],
  ...['Lwazi', 'Márta', 'Nour', 'Oskar', 'Priya', 'Quentin', 'Rosa', 'Søren', 'Tomás', 'Uma', 'Viktor'],
  ...['Wanda', 'Xenia', 'Yusuf', 'Zoë', 'Anne-Marie', 'Jean-Luc', 'Mei', 'Haruto', 'Amina', 'Caoimhe'],
];
const LAST_NAMES = [
  ...["O'Hara", 'Müller', 'García', 'Novák', 'Lindström', 'Okafor', 'Rossi', 'Dubois', 'Kovács', 'Silva'],
  ...["D'Amico", 'van der Berg', 'Yılmaz', 'Petrov', 'Haddad', 'Tanaka', 'Nguyen', 'Jensen', 'Murphy'],
  ...['Fernández', 'Weber', 'Schröder', 'Bianchi', 'Laurent', 'Castro', 'Iyer', 'Mbeki', 'Lopez, Jr.'],
];
/** Reserved for examples (RFC 2606): nobody has an address there. */
const DOMAINS = ['example.com', 'example.org', 'example.net', 'post.example.com'];
const MALFORMED: readonly ((user: string) => string)[] = [
  (user) => `${user}.example.com`,
  (user) => `${user}@example`,
  (user) => `${user}@@example.com`,
  (user) => `${user} @example.com`,
  (user) => `${user}@example.com, ${user}@example.org`,
  () => 'n/a',
];

const HEADER = 'id,email,first_name,last_name,phone,city';
const CITIES = ['Aarhus', 'Gdańsk', 'Köln', 'Lisboa', 'Nantes', 'Örebro', 'Pécs', 'Zürich'];
/** How far back a duplicate's original lies at most. */
const DUPLICATES_REACH = 900;
const ROWS_PER_WRITE = 1_000;

/**
 * Writes a CSV file of people who do not exist, with the dirt of real ones: empty and malformed addresses, addresses
 * that several share, accents, apostrophes, commas within values. The same count makes the same file everywhere.
 */
export async function writeMadeUpPeople(path: string, count: number): Promise<void> {
  await pipeline(Readable.from(blocks(count)), createWriteStream(path));
}

function* blocks(count: number): Generator<string> {
  let block = `${HEADER}\n`;
  for (let number = 1; number <= count; number += 1) {
    block += `${rowOf(number)}\n`;
    if (number % ROWS_PER_WRITE !== 0) continue;
    yield block;
    block = '';
  }
  yield block;
}

function rowOf(number: number): string {
  const dice = diceOf(number);
  const { first, last } = nameOf(number);
  const phone = roll(dice, 6) < 50 ? '' : `+1 202 555 ${String(number % 10_000).padStart(4, '0')}`;
  return [number, emailOf(number), roll(dice, 7) < 12 ? '' : first, last, phone, pick(CITIES, dice, 8)]
    .map((value) => csvValue(String(value)))
    .join(',');
}

function emailOf(number: number): string {
  const kind = roll(diceOf(number), 0);
  if (kind < 4) return '';
  if (kind < 7) return pick(MALFORMED, diceOf(number), 4)(userOf(number));
  if (kind < 12 && number > 1) return duplicateOf(number);
  return addressOf(number);
}

/** Somebody else's address, written in another way now and then. */
function duplicateOf(number: number): string {
  const dice = diceOf(number);
  const back = 1 + (dice.readUInt16BE(10) % Math.min(DUPLICATES_REACH, number - 1));
  const address = addressOf(number - back);
  return roll(dice, 5) < 128 ? address.toUpperCase() : ` ${address}`;
}

function addressOf(number: number): string {
  return `${userOf(number)}@${pick(DOMAINS, diceOf(number), 3)}`;
}

/** Most people leave accents, apostrophes and spaces out of their address; a few do not. */
function userOf(number: number): string {
  const { first, last } = nameOf(number);
  const user = `${first}.${last}${number}`.toLowerCase();
  const isPlain = roll(diceOf(number), 9) >= 24;
  return isPlain
    ? user.normalize('NFD').replaceAll(/[^a-z\d.-]/g, '')
    : user.replaceAll(/[^\p{L}\p{M}\d.'-]/gu, '');
}

function nameOf(number: number): { first: string; last: string } {
  const dice = diceOf(number);
  return { first: pick(FIRST_NAMES, dice, 1), last: pick(LAST_NAMES, dice, 2) };
}

/** Bytes that look like chance and are the same for the same person. */
function diceOf(number: number): Buffer {
  return createHash('sha256').update(`person ${number}`).digest();
}

/** One of the dice, 0 to 255. */
function roll(dice: Buffer, index: number): number {
  return dice.readUInt8(index);
}

function pick<T>(from: readonly T[], dice: Buffer, index: number): T {
  return from[roll(dice, index) % from.length] as T;
}

function csvValue(value: string): string {
  return /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}
