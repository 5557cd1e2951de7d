import { RetryLaterError, type Capacity } from '../destinations/destination.js';
import { Batch, BatchState } from '../entities/batch.js';
import type { Problem } from '../entities/problem.js';
import { callDestination } from './call-destination.js';
import { looksFull, sumOf, type Newcomers } from './newcomers.js';
import { SendingEndedError, type RunContext } from './run-context.js';

const MAX_TRIES = 3;

/**
 * Finds out whether the account is full, for a run that has nothing under way any more. The destination is asked, once,
 * where newcomers were refused; what the key may not read is judged by the outcomes.
 * @returns what to tell people; undefined: it is not full.
 */
export async function accountFull(context: RunContext): Promise<Problem | undefined> {
  const { run, services } = context;
  if (run.newcomersRefused === 0) return undefined;
  const batches = await services.database.reader.find(Batch, {
    select: { newcomers: true, newcomersRefused: true, newcomersRefusedLast: true },
    where: { runId: run.id, state: BatchState.SETTLED },
    order: { intentAt: 'ASC', id: 'ASC' },
  });
  const { limit, contacts } = await capacityOf(context);
  // An account that tells how many contacts it has, and no limit, has none.
  const isFull = contacts === undefined ? looksFull(batches) : limit !== undefined && contacts >= limit;
  return isFull ? problemOf(batches, limit, contacts) : undefined;
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

function problemOf(batches: readonly Newcomers[], limit?: number, contacts?: number): Problem {
  const { newcomers, newcomersRefused } = sumOf(batches);
  const [refused, all, holds, may] = [newcomersRefused, newcomers, contacts, limit].map((figure) =>
    figure?.toLocaleString('en'),
  );
  const why =
    contacts === undefined
      ? 'the account is probably full'
      : `the account is full, it holds ${holds ?? ''} contacts and its limit is ${may ?? ''}`;
  return {
    code: 'ACCOUNT_FULL',
    message: `The destination refused ${refused ?? ''} of the ${all ?? ''} new contacts: ${why}.`,
    remedy:
      "Check the account's contact limit (planExport shows it where the key may read it). Make room or raise the limit, then run the export again.",
  };
}
