import type { EntityManager } from 'typeorm';
import { AuditEvent } from '../entities/audit-event.js';
import { newId } from '../ids.js';
import type { Changes } from './changes.js';

/** In whose name something is done, and from where. */
export interface Actor {
  /** The user's; null: nobody who is known, or the server itself. */
  readonly id: string | null;
  /** The network address that the request came from; null: none. */
  readonly address: string | null;
}

/** Somebody who has signed in. */
export interface SignedInActor extends Actor {
  readonly id: string;
}

/** What the server does by itself. */
export const THE_SERVER: Actor = { id: null, address: null };

/** The subject of what concerns no single thing, or none that is known. */
export const NO_SUBJECT = '-';

export interface AuditEntry {
  readonly at: Date;
  readonly actor: Actor;
  /** The mutation's name, or what it was otherwise. */
  readonly action: string;
  readonly subjectType: string;
  readonly subjectId: string;
  /** The code of the error that refused it. Left out: OK. */
  readonly result?: string;
  readonly changes?: Changes;
  /** What else is worth knowing. Never anything secret, nor what profiles hold. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** Writes down what is done, in the transaction that does it: neither is there without the other. */
export async function record(manager: EntityManager, entry: AuditEntry): Promise<void> {
  await recordAll(manager, [entry]);
}

/** The same for what is done to many things at once, with one statement. */
export async function recordAll(manager: EntityManager, entries: readonly AuditEntry[]): Promise<void> {
  if (entries.length > 0) await manager.insert(AuditEvent, entries.map(eventOf));
}

function eventOf({ at, actor, result = 'OK', ...entry }: AuditEntry) {
  const { action, subjectType, subjectId, changes } = entry;
  const hasChanges = changes !== undefined && Object.keys(changes).length > 0;
  const detail = { ...(hasChanges && { changes }), ...entry.detail };
  return {
    id: newId(),
    at,
    actorId: actor.id,
    action,
    subjectType,
    subjectId,
    result,
    detail: Object.keys(detail).length === 0 ? null : detail,
    clientAddress: actor.address,
  };
}
