/** How the destination refuses an address: at once, naming it or not, or later, among a batch's failures. */
export type Refusing = 'named' | 'unnamed' | 'later';

export const FIELDS = ['firstName', 'lastName', 'phone'] as const;
export type Field = (typeof FIELDS)[number];
/** What is sent of a contact; a field that is missing is left as it is. */
export type Values = Partial<Record<Field, string>>;

export type Result = 'DONE' | 'REFUSED_AT_ONCE' | 'FAILED';

interface Contact {
  readonly values: Record<Field, string>;
  /** By list: on it, taken off by an import, or off by the person's own choice. */
  readonly lists: Map<number, 'ON' | 'REMOVED' | 'OPTED_OUT'>;
  /** By list: when an import took it off last. */
  readonly removedAt: Map<number, number>;
}

/** The account as it should be: what the importer makes of contacts, and what people do there. Known by e-mail key. */
export class ModelDestination {
  readonly contacts = new Map<string, Contact>();
  readonly refused = new Map<string, Refusing>();
  /** No further contact fits into the account. */
  isFull = false;
  /** What the destination's clock shows. It moves between what people do, and stands still while runs are under way. */
  now = 0;

  standing(key: string, list: number) {
    return this.contacts.get(key)?.lists.get(list);
  }

  /** When an import took the contact off the list; undefined: none did. */
  removedAt(key: string, list: number): number | undefined {
    return this.contacts.get(key)?.removedAt.get(list);
  }

  /** An upsert that puts the contact on the list; whoever is off it stays as it is, and is reported as failed. */
  put(key: string, list: number, values: Values): Result {
    const refusal = this.refusal(key) ?? this.refusalOnList(key, list);
    if (refusal !== undefined) return refusal;
    const contact = this.contact(key);
    Object.assign(contact.values, values);
    contact.lists.set(list, 'ON');
    return 'DONE';
  }

  /** Takes the contact off the list, unless it is off it. */
  remove(key: string, list: number): Result {
    const refusal = this.refusal(key);
    if (refusal !== undefined) return refusal;
    const { lists, removedAt } = this.contact(key);
    if (this.refusalOnList(key, list) === undefined) {
      lists.set(list, 'REMOVED');
      removedAt.set(list, this.now);
    }
    return 'DONE';
  }

  optOut(key: string, list: number): void {
    this.contact(key).lists.set(list, 'OPTED_OUT');
  }

  optIn(key: string, list: number): void {
    this.contact(key).lists.set(list, 'ON');
  }

  /** Every contact by key, as `first|last|phone` and where it stands on its lists. */
  state(): Map<string, string> {
    const shown = [...this.contacts].map(([key, { values, lists }]): [string, string] => {
      const standings = [...lists].map(([list, standing]) => `${list}:${standing === 'ON' ? 1 : 2}`).sort();
      return [key, [...FIELDS.map((field) => values[field]), ...standings].join('|')];
    });
    return new Map(shown);
  }

  /** Why whatever is sent of the address fails; undefined: it does not. */
  refusal(key: string): Result | undefined {
    const how = this.refused.get(key);
    if (how === undefined) return this.isFull && !this.contacts.has(key) ? 'FAILED' : undefined;
    return how === 'later' ? 'FAILED' : 'REFUSED_AT_ONCE';
  }

  /** Why an upsert does not put the contact on the list: it was taken off it. */
  refusalOnList(key: string, list: number): Result | undefined {
    const standing = this.standing(key, list);
    return standing === 'REMOVED' || standing === 'OPTED_OUT' ? 'FAILED' : undefined;
  }

  private contact(key: string): Contact {
    let contact = this.contacts.get(key);
    if (contact === undefined) {
      contact = {
        values: { firstName: '', lastName: '', phone: '' },
        lists: new Map(),
        removedAt: new Map(),
      };
      this.contacts.set(key, contact);
    }
    return contact;
  }
}
