import type { Random } from './random.js';

/** A profile as the next import tells it. */
export interface Person {
  readonly id: string;
  email: string;
  firstName: string;
  lastName: string;
  phone: string;
}

export type LeaverPolicy = 'KEEP' | 'UNSUBSCRIBE';

/** An export of the story. */
export interface ExportPlan {
  readonly name: string;
  readonly listId: number;
  readonly leavers: LeaverPolicy;
  readonly segments: readonly string[];
}

/** Two policies on list 1, one policy twice on list 2; everybody of "Everywhere" goes to both. */
export const EXPORTS: readonly ExportPlan[] = [
  { name: 'A', listId: 1, leavers: 'UNSUBSCRIBE', segments: ['Own A', 'Everywhere', 'Some'] },
  { name: 'B', listId: 1, leavers: 'KEEP', segments: ['Own B', 'Everywhere', 'Others'] },
  { name: 'C', listId: 2, leavers: 'UNSUBSCRIBE', segments: ['Own C', 'Everywhere', 'Some', 'Others'] },
  { name: 'D', listId: 2, leavers: 'UNSUBSCRIBE', segments: ['Own D', 'Everywhere', 'Others'] },
];
export const LISTS = [
  { id: 1, name: 'Newsletter' },
  { id: 2, name: 'Offers' },
];

const SIZES = { own: 1_200, everywhere: 300, pool: 500 };
const HEADER = 'id,email,first_name,last_name,phone';
/** A usable address of this story. Unusable ones are made to have no dot after the @. */
const USABLE = /^[^\s@]+@[^\s@.]+\.\w+$/;

export const keyOf = (email: string): string => email.trim().toLowerCase();

/**
 * The people of the story and what becomes of them; the one truth that the sandbox is held against in the end.
 *
 * Contacts have one set of values at the destination, whatever the lists, and the last writer wins. So that there is one
 * right answer, whoever is known to several exports either never leaves ("Everywhere") or never changes ("Some" and
 * "Others", which draw from one pool). All the rest happens in segments that belong to one export: joining, changing,
 * leaving, moving to other addresses and back, sharing an address, losing it.
 */
export class World {
  /** Everybody who may be in the segment, by id; the pool has two segments. */
  private readonly people = new Map<string, Map<string, Person>>();
  private readonly members = new Map<string, Set<string>>();
  /** Changed, and not yet known to be imported. */
  readonly pending = new Set<string>();
  /** By export, the keys that its segments ever held. */
  private readonly everWanted = new Map<string, Set<string>>();
  /** `list key` of people who took themselves off it. */
  readonly optOuts = new Set<string>();
  /** New addresses of people who had taken their former one off the list: by key, that former one. */
  readonly barred = new Map<string, string>();
  /**
   * Addresses that two people had at a time: which of them somebody opted out as cannot be told, and whoever takes the
   * other's place finds the address on the list already, and does not come in by it.
   */
  readonly shared = new Set<string>();
  private moves = 0;

  constructor(private readonly random: Random) {
    const pool = makePeople('pool', SIZES.pool);
    for (const { name } of EXPORTS) this.everWanted.set(name, new Set());
    for (const { name, segments } of EXPORTS) {
      for (const segment of segments) {
        if (this.people.has(segment)) continue;
        const own = segment === 'Everywhere' ? makePeople('all', SIZES.everywhere) : undefined;
        this.people.set(segment, isDrawn(segment) ? pool : (own ?? makePeople(`own-${name}`, SIZES.own)));
        this.members.set(segment, new Set(this.people.get(segment)?.keys()));
        if (isDrawn(segment)) this.draw(segment);
        this.touch(segment);
      }
    }
  }

  get segments(): string[] {
    return [...this.people.keys()];
  }

  memberCount(segment: string): number {
    return this.members.get(segment)?.size ?? 0;
  }

  /** Life goes on in a segment whose last state was imported. */
  change(segment: string): void {
    if (this.pending.has(segment)) return;
    if (isDrawn(segment)) this.draw(segment);
    else if (segment === 'Everywhere') this.changeValues(segment, 0.3);
    else this.live(segment);
    this.touch(segment);
  }

  /** The whole segment as an import takes it. */
  csv(segment: string): string {
    const rows = [...this.membersOf(segment)].map((person) =>
      [person.id, person.email, person.firstName, person.lastName, person.phone].join(','),
    );
    return [HEADER, ...rows, ''].join('\n');
  }

  /** Whom the export wants at its list, by key: of people with one address the first by id. */
  wanted(plan: ExportPlan): Map<string, Person> {
    const union = new Map(
      plan.segments.flatMap((segment) => [...this.membersOf(segment)].map((person) => [person.id, person])),
    );
    const wanted = new Map<string, Person>();
    for (const person of [...union.values()].sort((a, b) => (a.id < b.id ? -1 : 1))) {
      const key = keyOf(person.email);
      if (USABLE.test(person.email) && !wanted.has(key)) wanted.set(key, person);
    }
    return wanted;
  }

  wasWanted({ name }: ExportPlan, key: string): boolean {
    return this.everWanted.get(name)?.has(key) ?? false;
  }

  /** Somebody who may take an address off its list: not one of "Everywhere", whose values change on two lists. */
  somebody(): { email: string; listId: number } | undefined {
    const { listId, segments } = this.random.pick(EXPORTS);
    const segment = this.random.pick(segments.filter((name) => name !== 'Everywhere'));
    const { email } = this.random.pick([...(this.people.get(segment)?.values() ?? [])]);
    return USABLE.test(email) ? { email, listId } : undefined;
  }

  noteOptOut(listId: number, email: string): void {
    this.optOuts.add(`${listId} ${keyOf(email)}`);
  }

  private *membersOf(segment: string): Generator<Person> {
    const people = this.people.get(segment);
    for (const id of this.members.get(segment) ?? []) {
      const person = people?.get(id);
      if (person !== undefined) yield person;
    }
  }

  private draw(segment: string): void {
    const ids = [...(this.people.get(segment)?.keys() ?? [])];
    const before = this.members.get(segment);
    const chosen = ids.filter((id) => before?.has(id) !== this.random.chance(0.15));
    this.members.set(segment, new Set(chosen));
  }

  private changeValues(segment: string, share: number): void {
    for (const person of this.people.get(segment)?.values() ?? []) {
      if (!this.random.chance(share)) continue;
      const field = this.random.pick(['firstName', 'lastName', 'phone'] as const);
      person[field] = this.random.chance(0.25) ? '' : `${field} ${this.random.whole(1, 1_000_000)}`;
    }
  }

  /** In a segment that belongs to one export anything may happen. */
  private live(segment: string): void {
    this.changeValues(segment, 0.2);
    const members = this.members.get(segment) ?? new Set();
    for (const person of this.people.get(segment)?.values() ?? []) {
      if (this.random.chance(0.05)) {
        if (!members.delete(person.id)) members.add(person.id);
      }
      if (this.random.chance(0.04)) this.move(segment, person);
    }
  }

  private move(segment: string, person: Person): void {
    const former = keyOf(person.email);
    const listId = EXPORTS.find(({ segments }) => segments.includes(segment))?.listId ?? 0;
    const roll = this.random.next();
    if (roll < 0.3) {
      this.moves += 1;
      person.email = `${person.id}.${this.moves}@example.com`;
      const optedOut = this.optOuts.has(`${listId} ${former}`) && !this.shared.has(former);
      if (optedOut && former !== '') this.barred.set(keyOf(person.email), former);
    } else if (roll < 0.6) person.email = `${person.id}@example.com`;
    else if (roll < 0.8) {
      const twin = this.random.pick([...(this.people.get(segment)?.values() ?? [])]);
      person.email = this.random.chance(0.5) ? twin.email.toUpperCase() : twin.email;
      this.shared.add(keyOf(person.email));
    } else if (roll < 0.9)
      person.email = this.random.pick(['', `${person.id}.example.com`, `${person.id}@example`]);
    // The vendor's own example of an address that is accepted and refused later.
    else person.email = `o'${person.id}@example.com`;
  }

  private touch(segment: string): void {
    this.pending.add(segment);
    for (const { name, segments } of EXPORTS) {
      if (!segments.includes(segment)) continue;
      for (const { email } of this.membersOf(segment)) this.everWanted.get(name)?.add(keyOf(email));
    }
  }
}

function isDrawn(segment: string): boolean {
  return segment === 'Some' || segment === 'Others';
}

function makePeople(prefix: string, count: number): Map<string, Person> {
  const people = Array.from({ length: count }, (_, index): [string, Person] => {
    const id = `${prefix.toLowerCase()}-${index + 1}`;
    const phone = index % 3 === 0 ? '' : `555-${index}`;
    return [
      id,
      { id, email: `${id}@example.com`, firstName: `First ${index}`, lastName: `Last ${index}`, phone },
    ];
  });
  return new Map(people);
}
