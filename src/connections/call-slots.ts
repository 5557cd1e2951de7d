import type { Database } from '../database.js';
import { newId } from '../ids.js';
import { callsLane } from '../lanes.js';

/** The one slot that callers of all processes share at each account. */
export interface CallSlots {
  /**
   * Takes the slot. It is ours until `free` says when others may have it, or for `LEASE_MS` if we die before.
   * @returns in how many ms it may be tried again, if somebody else has it.
   */
  readonly reserve: (place: string) => Promise<Reservation | { readonly busyMs: number }>;
}

export interface Reservation {
  /** Lets others have the slot after so many ms, `LEASE_MS` at the most. */
  readonly free: (afterMs: number) => Promise<void>;
}

/** Longer than a destination may take for an answer (destinations/http.ts). */
const LEASE_MS = 40_000;
/** Rows of places that nobody has asked for so long are removed. */
const KEPT_MS = 3_600_000;

/** A single process has nobody to share the slot with. */
export const SOLE_SLOTS: CallSlots = {
  reserve: () => Promise.resolve({ free: () => Promise.resolve() }),
};

/** Milliseconds since 1970, by the one clock that all processes share. */
const NOW = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint';

/**
 * Slots in Postgres. A slot that is taken for longer than a lease was taken before the clock of the database was put
 * back: it is free. Each step is one short transaction; none goes on during a call.
 */
export function createSharedSlots(database: Database): CallSlots {
  const reserve = (place: string, holder: string) =>
    database.transact(async ({ manager }) => {
      await manager.query(`DELETE FROM "account_calls" WHERE "freeAt" < ${NOW} - ${KEPT_MS}`);
      const taken = await manager.query<unknown[]>(
        `INSERT INTO "account_calls" AS "slot" ("place", "holder", "freeAt") VALUES ($1, $2, ${NOW} + ${LEASE_MS})
         ON CONFLICT ("place") DO UPDATE SET "holder" = EXCLUDED."holder", "freeAt" = EXCLUDED."freeAt"
         WHERE "slot"."freeAt" <= ${NOW} OR "slot"."freeAt" > ${NOW} + ${LEASE_MS}
         RETURNING 1`,
        [place, holder],
      );
      if (taken.length > 0) return undefined;
      const [{ busyMs } = { busyMs: 0 }] = await manager.query<{ busyMs: number }[]>(
        `SELECT ("freeAt" - ${NOW})::integer AS "busyMs" FROM "account_calls" WHERE "place" = $1`,
        [place],
      );
      return busyMs;
    }, callsLane(place));

  return {
    reserve: async (place) => {
      const holder = newId();
      const busyMs = await reserve(place, holder);
      if (busyMs !== undefined) return { busyMs };
      return {
        free: (afterMs) =>
          database.transact(async ({ manager }) => {
            const ms = Math.ceil(Math.min(afterMs, LEASE_MS));
            await manager.query(
              `UPDATE "account_calls" SET "freeAt" = ${NOW} + ${ms} WHERE "place" = $1 AND "holder" = $2`,
              [place, holder],
            );
          }, callsLane(place)),
      };
    },
  };
}
