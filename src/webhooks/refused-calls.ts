import { createRation } from '../audit/ration.js';
import { NO_SUBJECT, record } from '../audit/record.js';
import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import { describeError } from '../errors.js';
import { looksLikeId } from '../ids.js';
import { NOTES_LANE } from '../lanes.js';
import type { Logger } from '../logger.js';

/** A call that was refused, or could not be taken. */
export interface RefusedCall {
  /** As the path has it: there may be no such trigger. */
  readonly triggerId: string;
  /** The network address that it came from. */
  readonly address: string;
  /** The export of the trigger, of a caller who has shown that it knows the secret; undefined: it has not. */
  readonly exportId?: string | undefined;
  /** The code of the error. */
  readonly result: string;
  /** In a sentence. Never quotes what came in. */
  readonly reason: string;
  /** The header, or what else is to blame. */
  readonly field?: string | undefined;
  /** Where the log has more. */
  readonly correlationId?: string;
}

/**
 * Writes a refused call down, in a transaction of its own: that of the call left nothing. Of calls that have not shown
 * that they know the secret only so many a minute. The same is done whether or not there is such a trigger, so that the
 * time it takes tells nothing. Never throws: a full disk must not turn a refusal into something else.
 */
export type WriteDownRefusedCall = (call: RefusedCall) => Promise<void>;

export function createRefusedCalls(services: {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}): WriteDownRefusedCall {
  const { database, clock, logger } = services;
  const ration = createRation(clock);
  return async ({ triggerId, address, result, ...detail }) => {
    const unwritten = detail.exportId === undefined ? ration.take() : 0;
    if (unwritten === undefined) return;
    const entry = {
      at: new Date(clock.now()),
      actor: { id: null, address },
      action: 'callTrigger',
      subjectType: 'Trigger',
      subjectId: looksLikeId(triggerId) ? triggerId : NO_SUBJECT,
      result,
      detail: { ...detail, ...(unwritten > 0 && { unwrittenBefore: unwritten }) },
    };
    try {
      await database.transact(({ manager }) => record(manager, entry), NOTES_LANE);
    } catch (error: unknown) {
      logger.error({ why: describeError(error) }, 'a refused call of a trigger was not written down');
    }
  };
}
