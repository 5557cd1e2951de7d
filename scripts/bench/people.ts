import { Readable } from 'node:stream';

/** In the order of the file, or in an order that has nothing to do with it. */
export type IdOrder = 'ordered' | 'random';

/** Somebody who does not exist: the same number makes the same person everywhere. */
export interface Person {
  readonly id: string;
  readonly email: string;
  readonly firstName: string;
  readonly lastName: string;
  readonly phone: string;
}

const FIRST_NAMES = [
  ...['Ada', 'Björn', 'Chloé', 'Dmitri', 'Elodie', 'Farid', 'Greta', 'Hugo', 'Inés', 'Jonas', 'Katarína'],
  ...['Lwazi', 'Marta', 'Nour', 'Oskar', 'Priya', 'Quentin', 'Rosa', 'Søren', 'Tomás', 'Uma', 'Viktor'],
  ...['Wanda', 'Xenia', 'Yusuf', 'Zoë', 'Alexander', 'Charlotte', 'Benjamin', 'Valentina', 'Sebastian'],
];
const LAST_NAMES = [
  ...['Hartmann', 'Müller', 'García', 'Novák', 'Lindström', 'Okafor', 'Rossi', 'Dubois', 'Kovács', 'Silva'],
  ...['Anderson', 'Bergström', 'Petrov', 'Haddad', 'Tanaka', 'Nguyen', 'Jensen', 'Murphy', 'Fernández'],
  ...['Weber', 'Schröder', 'Bianchi', 'Laurent', 'Castro', 'Iyer', 'Mbeki', 'Papadopoulos', 'Richardson'],
];
/** Reserved for examples (RFC 2606): nobody has an address there. */
const DOMAINS = ['example.com', 'example.org', 'mail.example.net', 'customers.example.com'];

const HEADER = 'id,email,first_name,last_name,phone\n';
const BLOCK_CHARACTERS = 64 * 1024;
const ID_DIGITS = 9;

/** @param renamed with another first name than otherwise: a profile that changed. */
export function personOf(number: number, { ids, renamed }: { ids: IdOrder; renamed: boolean }): Person {
  const dice = scramble(number, 1);
  const firstName = pick(FIRST_NAMES, (dice >>> 3) + Number(renamed));
  const lastName = pick(LAST_NAMES, dice >>> 11);
  const user = plain(`${pick(FIRST_NAMES, dice >>> 3)}.${lastName}.${scramble(number, 2).toString(36)}`);
  return {
    id: ids === 'ordered' ? String(number).padStart(ID_DIGITS, '0') : idByChance(number),
    email: `${user}@${pick(DOMAINS, dice >>> 19)}`,
    firstName,
    lastName,
    phone: `+1 202 555 ${String(dice % 10_000).padStart(4, '0')}`,
  };
}

/** The people of the numbers from `from` up to, and without, `to`. */
export function* crowd(from: number, to: number, ids: IdOrder): Generator<Person> {
  for (let number = from; number < to; number += 1) yield personOf(number, { ids, renamed: false });
}

/** The people as a CSV file, about 95 bytes each, made as it is read. */
export function csvOf(people: Iterable<Person>): Readable {
  return Readable.from(blocksOf(people));
}

function* blocksOf(people: Iterable<Person>): Generator<Buffer> {
  let block = HEADER;
  for (const { id, email, firstName, lastName, phone } of people) {
    block += `${id},${email},${firstName},${lastName},${phone}\n`;
    if (block.length < BLOCK_CHARACTERS) continue;
    yield Buffer.from(block);
    block = '';
  }
  yield Buffer.from(block);
}

function idByChance(number: number): string {
  const [first, second] = [scramble(number, 3), scramble(number, 4)];
  return `${first.toString(16).padStart(8, '0')}-${second.toString(16).padStart(8, '0')}`;
}

/**
 * A number of 32 bits that looks like chance. One number never gives the result of another (the last steps of
 * MurmurHash3, each of which can be undone), so what is made from it is unique.
 */
function scramble(number: number, salt: number): number {
  let bits = Math.imul(number, 0x9e3779b1) ^ Math.imul(salt, 0x27d4eb2f);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

const PLAIN = new Map([...FIRST_NAMES, ...LAST_NAMES].map((name) => [name, withoutAccents(name)]));

/** Addresses without accents: some of the others would be refused. */
function plain(user: string): string {
  const [first = '', last = '', number = ''] = user.split('.');
  return `${PLAIN.get(first) ?? ''}.${PLAIN.get(last) ?? ''}.${number}`;
}

function withoutAccents(name: string): string {
  return name
    .toLowerCase()
    .normalize('NFD')
    .replaceAll(/[^a-z]/g, '');
}

function pick(from: readonly string[], dice: number): string {
  return from[dice % from.length] ?? '';
}
