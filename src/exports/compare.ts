import { setImmediate } from 'node:timers/promises';
import { compareUtf8, dialectOf } from '../bulk-sql.js';
import type { Scanner } from '../database.js';
import { AS_WANTED, Standing, type LedgerTask } from '../entities/ledger.js';
import { isDeparted, lookElsewhere } from './departures.js';
import {
  differenceOf,
  differenceOfGone,
  type Difference,
  type KnownEntry,
  type Rules,
} from './differences.js';
import type { LedgerPlace } from './ledger.js';
import type { WantedMember } from './mapping.js';
import type { Refusal } from './refusals.js';
import type { FindRemoved } from './removals.js';
import type { Spill } from './spill.js';

/** Entries that one statement reads: some 10 ms. */
const PAGE = 2_500;
/** Addresses whose differences are worked out, and written, at once: a transaction of some 30 ms. */
const GROUP = 6_000;
/** Addresses that are compared without a pause: some 5 ms, for everybody else waits meanwhile, statements under way too. */
const AT_ONCE = 1_000;

/** One address: whom the segments have there, what the ledger knew, and what follows. */
export interface Finding extends Difference {
  readonly emailKey: string;
  readonly member: WantedMember | undefined;
  readonly known: KnownEntry | undefined;
  /** Members with the same address who come later by id. */
  readonly duplicates: readonly WantedMember[];
}

/**
 * Holds everybody wanted against everything the ledger knows: both lie in the order of the e-mail keys, so that one walk
 * along both sees each address once. Whoever reads the findings may write the ledger meanwhile, up to the last address
 * that was answered.
 * @param findRemoved recognizes newcomers whom an export took off the list that is gone by now; undefined: there are none.
 */
export async function* compareWithLedger(
  scanner: Scanner,
  place: LedgerPlace,
  spill: Spill,
  rules: Rules,
  findRemoved: FindRemoved | undefined,
): AsyncGenerator<Finding[]> {
  const members = walk(groupsByAddress(spill));
  const entries = walk(ledgerPages(scanner, place.ledgerId));
  let pairs: Pair[] = [];
  for (;;) {
    const ready = [members.fill(), entries.fill()].filter((filling) => filling !== undefined);
    if (ready.length > 0) await Promise.all(ready);
    const member = members.peek();
    const entry = entries.peek();
    if (member === undefined && entry === undefined) break;
    const order =
      member === undefined ? 1 : entry === undefined ? -1 : compareUtf8(member.emailKey, entry.emailKey);
    if (order <= 0) members.skip();
    if (order >= 0) entries.skip();
    pairs.push({ members: order <= 0 ? member?.members : undefined, known: order >= 0 ? entry : undefined });
    if (pairs.length === GROUP) {
      yield await judge(scanner, place, pairs, rules, findRemoved);
      pairs = [];
    } else if (pairs.length % AT_ONCE === 0) {
      await setImmediate();
    }
  }
  if (pairs.length > 0) yield await judge(scanner, place, pairs, rules, findRemoved);
}

interface Pair {
  readonly members: readonly WantedMember[] | undefined;
  readonly known: KnownEntry | undefined;
}

async function judge(
  scanner: Scanner,
  { neighbours }: LedgerPlace,
  pairs: readonly Pair[],
  rules: Rules,
  findRemoved: FindRemoved | undefined,
): Promise<Finding[]> {
  const keys = neighbours.length === 0 ? [] : pairs.filter(dependsOnOthers).map(keyOf);
  const elsewhere = await lookElsewhere(scanner, neighbours, keys);
  const removed = (await findRemoved?.(pairs.filter(isNewcomer).map(keyOf))) ?? [];
  for (const key of removed)
    elsewhere.set(key, { keeps: false, leftBehind: false, ...elsewhere.get(key), removed: true });
  return pairs.flatMap(({ members = [], known }) => {
    const [member, ...duplicates] = members;
    const emailKey = keyOf({ members, known });
    const others = elsewhere.get(emailKey);
    if (member !== undefined) {
      return { ...differenceOf(member, known, others, rules), emailKey, member, known, duplicates };
    }
    return known === undefined
      ? []
      : { ...differenceOfGone(known, others, rules), emailKey, member, known, duplicates };
  });
}

function keyOf({ members, known }: Pair): string {
  return members?.[0]?.emailKey ?? known?.emailKey ?? '';
}

/** Whose fate depends on other exports: who comes, and who goes. */
function dependsOnOthers({ members, known }: Pair): boolean {
  return members === undefined || known === undefined || known.gone || known.standing !== Standing.ON_LIST;
}

/** A member whom this export never delivered. */
function isNewcomer({ members, known }: Pair): boolean {
  return members !== undefined && (known === undefined || known.standing === Standing.NEVER_DELIVERED);
}

/** All members of one address, the first by id in front. */
interface Address {
  readonly emailKey: string;
  readonly members: WantedMember[];
}

async function* groupsByAddress(spill: Spill): AsyncGenerator<Address[]> {
  /** Its members may go on in the next page. */
  let open: Address | undefined;
  for await (const page of spill.pages()) {
    const addresses: Address[] = open === undefined ? [] : [open];
    for (const member of page) {
      if (open?.emailKey === member.emailKey) {
        open.members.push(member);
      } else {
        open = { emailKey: member.emailKey, members: [member] };
        addresses.push(open);
      }
    }
    yield addresses.slice(0, -1);
  }
  if (open !== undefined) yield [open];
}

/** The entries of a ledger in key order. */
export async function* ledgerPages(scanner: Scanner, ledgerId: number | null): AsyncGenerator<KnownEntry[]> {
  if (ledgerId === null) return;
  const columns = [
    '"emailKey"',
    '"profileId"',
    '"wanted"',
    '"filled"',
    '"delivered"',
    '"task"',
    '"standing"',
    '"gone"',
    '"departedRun"',
    isDeparted('(SELECT "exportId" FROM "ledgers" WHERE "id" = $1)'),
    '"doubt"',
    '"refusal"',
  ];
  const sql = `SELECT ${dialectOf(scanner).rows(columns, '"emailKey"')} AS "rows"
    FROM (SELECT * FROM "ledger_entries" WHERE "ledgerId" = $1 AND "emailKey" > $2 ORDER BY "emailKey" LIMIT ${PAGE}) AS "page"`;
  const readAfter = (key: string) => scanner.query<[{ rows: string }]>(sql, [ledgerId, key]);
  for (let next: Promise<[{ rows: string }]> | undefined = readAfter(''); next !== undefined;) {
    const [{ rows }]: [{ rows: string }] = await next;
    const page = (JSON.parse(rows) as EntryRow[]).map(knownEntry);
    const last = page.at(-1);
    // The database reads on while this page is worked on.
    next = last === undefined || page.length < PAGE ? undefined : readAfter(last.emailKey);
    // It may fail when nobody waits for it any more; whoever does will hear of it.
    next?.catch(() => undefined);
    yield page;
  }
}

type EntryRow = [
  emailKey: string,
  profileId: string,
  wanted: string,
  filled: number,
  delivered: string | null,
  task: LedgerTask,
  standing: Standing,
  gone: boolean | 0 | 1,
  departedRun: number | null,
  departed: boolean | 0 | 1,
  doubt: number | null,
  refusal: string | null,
];

function knownEntry(row: EntryRow): KnownEntry {
  const [emailKey, profileId, wanted, filled, delivered, task, standing, ...rest] = row;
  const [gone, departedRun, departed, doubt, refusal] = rest;
  return {
    emailKey,
    profileId,
    wanted,
    filled,
    delivered: delivered === AS_WANTED ? wanted : delivered,
    task,
    standing,
    gone: Boolean(gone),
    departedRun,
    departed: Boolean(departed),
    doubt,
    refusal: refusal === null ? null : (JSON.parse(refusal) as Refusal),
  };
}

/** Looks along pages item by item, and waits only where a page ends. */
interface Walk<T> {
  /** What is to be awaited before `peek`; undefined: nothing. */
  readonly fill: () => Promise<void> | undefined;
  /** The next item; undefined: there is none. */
  readonly peek: () => T | undefined;
  readonly skip: () => void;
}

function walk<T>(pages: AsyncGenerator<T[]>): Walk<T> {
  let page: T[] = [];
  let at = 0;
  let isAtEnd = false;
  const turn = async () => {
    while (!isAtEnd && at >= page.length) {
      const next: IteratorResult<T[], unknown> = await pages.next();
      page = next.done === true ? [] : next.value;
      at = 0;
      isAtEnd = next.done === true;
    }
  };
  return {
    fill: () => (isAtEnd || at < page.length ? undefined : turn()),
    peek: () => page[at],
    skip: () => {
      at += 1;
    },
  };
}
