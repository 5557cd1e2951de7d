import type { EntityManager } from 'typeorm';
import type { Database, Transaction } from '../database.js';
import type { ExportRun } from '../entities/export-run.js';
import { accountLane } from '../lanes.js';
import { RunMovedError } from './run-states.js';

/*
 * Who works an account, and who only believes to.
 *
 * Two pumps of one account would each keep its quotas, and both together overrun them; two workers of one run would undo
 * each other's writes. A process may be frozen, or cut off, for longer than others wait for its sign of life, and know
 * nothing of it when it goes on. So whoever begins to pump an account raises its tenure, and whoever takes a run up raises
 * the run's attempt. Every transaction of a worker looks at both first. Neither can change before it commits, because
 * raising one takes the same lane: what was begun before a take-over is complete when the new pump reads what was sent,
 * and what would be begun after it fails.
 */

/** The hold that a pump has on its account. */
export interface Tenant {
  readonly database: Database;
  readonly tenure: number;
}

/** Somebody else works the account, or the run, by now: nothing more may be done about it here. */
export class RunTakenError extends RunMovedError {
  constructor(runId: string) {
    super(runId);
    this.name = 'RunTakenError';
  }
}

/** Begins to pump an account. @returns the tenure, which ends when somebody else begins. */
export async function beginTenure(database: Database, account: string): Promise<number> {
  return database.transact(async ({ manager }) => {
    await manager.query(
      `INSERT INTO "account_tenures" ("account", "tenure") VALUES ($1, 1)
       ON CONFLICT ("account") DO UPDATE SET "tenure" = "account_tenures"."tenure" + 1`,
      [account],
    );
    const [row] = await manager.query<[{ tenure: number }]>(
      'SELECT "tenure" FROM "account_tenures" WHERE "account" = $1',
      [account],
    );
    return row.tenure;
  }, accountLane(account));
}

/**
 * Runs a transaction for whoever works a run, if the run is still in these hands: whatever a worker writes goes through
 * here.
 * @throws {RunTakenError} otherwise.
 */
export function transactAs<T>(
  tenant: Tenant,
  run: Pick<ExportRun, 'id' | 'attempt' | 'account'>,
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  return tenant.database.transact(async (transaction) => {
    await assertTenure(transaction.manager, tenant, run);
    const [held] = await transaction.manager.query<unknown[]>(
      'SELECT 1 FROM "export_runs" WHERE "id" = $1 AND "attempt" = $2',
      [run.id, run.attempt],
    );
    if (held === undefined) throw new RunTakenError(run.id);
    return work(transaction);
  }, accountLane(run.account));
}

/** @throws {RunTakenError} if somebody else pumps the account by now. */
export async function assertTenure(
  manager: EntityManager,
  { tenure }: Pick<Tenant, 'tenure'>,
  { id, account }: Pick<ExportRun, 'id' | 'account'>,
): Promise<void> {
  const [present] = await manager.query<{ tenure: number }[]>(
    'SELECT "tenure" FROM "account_tenures" WHERE "account" = $1',
    [account],
  );
  if (present?.tenure !== tenure) throw new RunTakenError(id);
}
