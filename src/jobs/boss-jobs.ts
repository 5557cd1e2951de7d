import type { Job, JobInsert, PgBoss } from 'pg-boss';
import type { Transaction } from '../database.js';
import type { QueueDepth } from '../exports/queue.js';

/** What a job says: which account is to be worked. */
interface Errand {
  readonly account: string;
}

/** One attempt at a job: what was taken over by somebody else is another. */
export type AccountJob = Job<Errand>;

/** The jobs of one queue in pg-boss, and all that is asked of them. */
export interface BossJobs {
  /**
   * Writes, in the transaction, a job that waits, or touches the one that does. Touching matters: until the commit nobody
   * can fetch that job, so whoever does sees the rows that it was written for.
   */
  readonly write: (transaction: Transaction, account: string) => Promise<void>;
  /** Writes jobs that may be fetched after so many seconds, for whom none waits. */
  readonly add: (accounts: readonly string[], afterSeconds?: number) => Promise<void>;
  /** Takes at most so many jobs, none of an account that somebody works. */
  readonly fetch: (most: number) => Promise<AccountJob[]>;
  /** Gives a sign of life. @returns whether all of them are still ours. */
  readonly touch: (jobs: readonly AccountJob[]) => Promise<boolean>;
  /** Removes those that are still ours. */
  readonly remove: (jobs: readonly AccountJob[]) => Promise<void>;
  /** For which of the accounts a job waits, and when it was last rung for. */
  readonly waiting: (accounts: readonly string[]) => Promise<readonly Ring[]>;
  readonly depth: () => Promise<QueueDepth>;
  /**
   * Moves to the present what is dated in the future: the clock of the database was put back. Until it has caught up,
   * nobody would fetch these jobs, nor take them over from a process that died.
   */
  readonly undateFuture: () => Promise<void>;
}

interface Ring {
  readonly account: string;
  readonly at: string;
}

/** Of one account, at most one job waits, one waits to be tried again, and one is worked. */
const POLICY = 'stately';

const RULES = {
  // The shortest that pg-boss allows. Together with the intervals of boss.ts and POLL_MS of boss-queue.ts it is how long
  // the accounts of a dead process rest.
  heartbeatSeconds: 10,
  // The longest that pg-boss allows. Who works an account for so long puts it down, and somebody takes it up again.
  expireInSeconds: 24 * 60 * 60,
  // Rows are the truth, and as long as they are there somebody must work them.
  retryLimit: 2_147_483_647,
  retryDelay: 0,
  retentionSeconds: 365 * 24 * 60 * 60,
  deleteAfterSeconds: 60,
};

/** Nothing here is written to be due later than this; see REST_SECONDS of boss-queue.ts. */
const FUTURE = "now() + interval '1 minute'";

/** @param name of letters, digits, `_`, `-`, `.` and `/`. */
export async function openBossJobs(boss: PgBoss, name: string): Promise<BossJobs> {
  await boss.createQueue(name, { policy: POLICY, ...RULES });
  // If an earlier release made it with other rules.
  await boss.updateQueue(name, RULES);

  /** Its tables may be read and written: pg-boss promises that other programs may work with them in SQL. */
  const read = async (statement: string, ...more: unknown[]): Promise<unknown[]> =>
    (await boss.getDb().executeSql(statement, [name, ...more])).rows as unknown[];

  return {
    write: async (transaction, account) => {
      const options = { singletonKey: account, startAfter: 0, db: within(transaction) };
      await boss.upsert(name, { account }, options);
    },

    add: async (accounts, startAfter = 0) => {
      const jobs = accounts.map((account): JobInsert => ({
        singletonKey: account,
        data: { account },
        startAfter,
      }));
      if (jobs.length > 0) await boss.insert(name, jobs);
    },

    fetch: (most) => boss.fetch<Errand>(name, { batchSize: most }),

    touch: async (jobs) => {
      if (jobs.length === 0) return true;
      const answer = await boss.touch(name, [...jobs]);
      // Its type says nothing; this is how many jobs it touched.
      return (answer as { readonly affected: number }).affected === jobs.length;
    },

    remove: async (jobs) => {
      // Deleted, not completed: a queue that keeps nothing stays quick.
      if (jobs.length > 0) await boss.deleteJob(name, [...jobs]);
    },

    waiting: async (accounts) => {
      if (accounts.length === 0) return [];
      const rings = await read(
        `SELECT singleton_key AS account, start_after::text AS at FROM pgboss.job
         WHERE name = $1 AND state = 'created' AND start_after <= now() AND singleton_key = ANY($2)`,
        accounts,
      );
      return rings as Ring[];
    },

    undateFuture: async () => {
      await read(
        `UPDATE pgboss.job SET start_after = least(start_after, now()), heartbeat_on = least(heartbeat_on, now())
         WHERE name = $1 AND state <= 'active' AND (start_after > ${FUTURE} OR heartbeat_on > ${FUTURE})`,
      );
      await read(
        `UPDATE pgboss.queue SET monitor_claim_on = now() WHERE name = $1 AND monitor_claim_on > ${FUTURE}`,
      );
    },

    // A job that waits for an account that is being worked does not count: its bell was rung.
    depth: async () => {
      const rows = await read(
        `WITH active AS (SELECT singleton_key FROM pgboss.job WHERE name = $1 AND state = 'active')
         SELECT
           count(DISTINCT singleton_key)::int AS waiting,
           (SELECT count(*) FROM active)::int AS active,
           coalesce(extract(epoch FROM now() - min(CASE state WHEN 'created' THEN created_on ELSE start_after END)), 0)::float8
             AS "oldestSeconds"
         FROM pgboss.job
         WHERE name = $1 AND state < 'active' AND start_after <= now()
           AND singleton_key NOT IN (SELECT singleton_key FROM active)`,
      );
      return rows[0] as QueueDepth;
    },
  };
}

/** Lets pg-boss write in our transaction. */
function within({ manager: { queryRunner } }: Transaction) {
  return {
    executeSql: async (text: string, values: unknown[] = []) => {
      if (queryRunner === undefined) throw new Error('A transaction has a connection.');
      const { records } = await queryRunner.query(text, values, true);
      return { rows: records as unknown[] };
    },
  };
}
