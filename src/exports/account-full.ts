import type { EntityManager } from 'typeorm';
import { RetryLaterError, type Capacity } from '../destinations/destination.js';
import { Batch, BatchState } from '../entities/batch.js';
import type { Problem } from '../entities/problem.js';
import { callDestination } from './call-destination.js';
import { countRefusedAgain } from './ledger.js';
import { looksFull, sumOf } from './newcomers.js';
import { SendingEndedError, type RunContext } from './run-context.js';

const MAX_TRIES = 3;

/**
 * Finds out whether the account is full, for a run that has nothing under way any more. The destination is asked, once,
 * where it refused contacts in the outcome of a batch; what the key may not read is judged by the outcomes.
 * @returns what to tell people; undefined: it is not full.
 */
export async function accountFull(context: RunContext): Promise<Problem | undefined> {
  const { run, services } = context;
  const { reader, scanner } = services.database;
  if (!(await wereRefusedLater(reader, run.id))) return undefined;
  const batches = await reader.find(Batch, {
    select: { newcomers: true, newcomersRefused: true, newcomersRefusedLast: true },
    where: { runId: run.id, state: BatchState.SETTLED },
    order: { intentAt: 'ASC', id: 'ASC' },
  });
  const { limit, contacts } = await capacityOf(context);
  // An account that tells how many contacts it has, and no limit, has none.
  const isFull = contacts === undefined ? looksFull(batches) : limit !== undefined && contacts >= limit;
  if (!isFull) return undefined;
  const { newcomers, newcomersRefused } = sumOf(batches);
  if (newcomersRefused > 0)
    return problemOf(`${shown(newcomersRefused)} of the ${shown(newcomers)} new contacts`, limit, contacts);
  // Nobody but people who were delivered before needs no room.
  const refusedAgain = await countRefusedAgain(scanner, run);
  return refusedAgain === 0
    ? undefined
    : problemOf(
        `${shown(refusedAgain)} ${refusedAgain === 1 ? 'contact' : 'contacts'} that an earlier run had tried`,
        limit,
        contacts,
      );
}

/** Whether contacts of the run were refused in the outcome of a batch. Who is refused at once is told why, and has left it. */
async function wereRefusedLater(reader: EntityManager, runId: string): Promise<boolean> {
  return reader
    .createQueryBuilder(Batch, 'batch')
    .where('batch.runId = :runId AND batch.state = :state', { runId, state: BatchState.SETTLED })
    .andWhere('batch.confirmed < batch.contacts')
    .getExists();
}

async function capacityOf(context: RunContext): Promise<Capacity> {
  const { destination } = context;
  try {
    return await callDestination(context, (credentials) => destination.capacity(credentials), {
      maxTries: MAX_TRIES,
    });
  } catch (error: unknown) {
    if (error instanceof RetryLaterError || error instanceof SendingEndedError) {
      return { limit: undefined, contacts: undefined };
    }
    throw error;
  }
}

function problemOf(refused: string, limit: number | undefined, contacts: number | undefined): Problem {
  const why =
    contacts === undefined
      ? 'the account is probably full'
      : `the account is full, it holds ${shown(contacts)} contacts and its limit is ${shown(limit ?? 0)}`;
  return {
    code: 'ACCOUNT_FULL',
    message: `The destination refused ${refused}: ${why}.`,
    remedy:
      "Check the account's contact limit (planExport shows it where the key may read it). Make room or raise the limit, then run the export again.",
  };
}

function shown(figure: number): string {
  return figure.toLocaleString('en');
}
