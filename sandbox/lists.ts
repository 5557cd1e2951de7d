import { SandboxInputError } from './settings.js';

export interface List {
  readonly id: number;
  readonly name: string;
  readonly stringid: string;
  readonly senderUrl: string;
  readonly senderReminder: string;
  readonly createdAt: number;
  /** Members that are active, and members of any status. Kept by `Contacts`. */
  active: number;
  total: number;
}

export interface NewList {
  id?: number;
  name: string;
  stringid?: string;
  senderUrl?: string;
  senderReminder?: string;
}

/** The account's lists. An id is never used again. */
export class Lists {
  private readonly byId = new Map<number, List>();
  private lastId = 0;

  add(list: NewList, now: number): List {
    const id = list.id ?? this.lastId + 1;
    if (!Number.isSafeInteger(id) || id < 1)
      throw new SandboxInputError('A list id must be a whole number from 1.');
    if (list.name === '') throw new SandboxInputError('A list must have a name.');
    if (this.byId.has(id)) throw new SandboxInputError(`There is already a list ${id}.`);
    this.lastId = Math.max(this.lastId, id);
    const added: List = {
      id,
      name: list.name,
      stringid: list.stringid ?? list.name.toLowerCase().replaceAll(/\s+/g, '-'),
      senderUrl: list.senderUrl ?? 'https://example.com',
      senderReminder: list.senderReminder ?? 'You signed up on our website.',
      createdAt: now,
      active: 0,
      total: 0,
    };
    this.byId.set(id, added);
    return added;
  }

  get(id: number): List | undefined {
    return this.byId.get(id);
  }

  has(id: number): boolean {
    return this.byId.has(id);
  }

  remove(id: number): boolean {
    return this.byId.delete(id);
  }

  all(): List[] {
    return [...this.byId.values()];
  }
}
