import { createHash } from 'node:crypto';
import { record } from '../audit/record.js';
import { ExportRunTrigger } from '../entities/export-run.js';
import { Trigger, TriggerCall } from '../entities/trigger.js';
import { IdempotencyKeyReusedError, UnauthenticatedError } from '../errors.js';
import { findExport } from '../exports/find-exports.js';
import { queueRun, type QueueRunServices } from '../exports/queue-run.js';
import { readBody, readHeaders, type IncomingCall } from './call.js';
import { isProven, type Decoys, type Proof } from './trigger-secrets.js';
import type { TriggerServices } from './triggers.js';

export interface CallServices extends TriggerServices, QueueRunServices {
  readonly decoys: Decoys;
}

/** What the caller gets: the run that it started, joined, or had started by the same call before. */
export interface CallAnswer {
  readonly runId: string;
  readonly duplicate: boolean;
}

/**
 * Receives a call of a trigger (Standard Webhooks): headers, time, signature over the raw bytes, JSON; then, in one
 * transaction, the run is queued or joined and the call remembered by its webhook-id, so that the same call again gets the
 * same run. Nothing is answered before that is durable.
 *
 * Unknown and disabled triggers and wrong signatures are told apart by nobody: the same error after the same work.
 * @throws {BadInputError} for headers or a body that cannot be used; {UnauthenticatedError};
 *   {IdempotencyKeyReusedError} for a known webhook-id with another body; and as `queueRun`.
 */
export async function receiveCall(services: CallServices, incoming: IncomingCall): Promise<CallAnswer> {
  const { database, clock } = services;
  const { webhookId, proof } = readHeaders(incoming, clock.now());
  const found = await database.reader.findOneBy(Trigger, { id: incoming.triggerId });
  if (!isGenuine(services, found, proof) || found === null) throw unknownCaller();
  const { force } = readBody(incoming.body);
  const bodyHash = createHash('sha256').update(incoming.body).digest('hex');
  return database.transact(async (transaction) => {
    const { manager } = transaction;
    const trigger = await manager.findOneBy(Trigger, { id: found.id, enabled: true });
    // It was disabled or removed a moment ago.
    if (trigger === null) throw unknownCaller();
    const triggerId = trigger.id;
    const known =
      webhookId === undefined ? null : await manager.findOneBy(TriggerCall, { triggerId, webhookId });
    if (known !== null && known.bodyHash !== bodyHash) {
      throw new IdempotencyKeyReusedError(
        'This webhook-id came with another body before.',
        'Use a new webhook-id for every call that is not a repetition.',
        'webhook-id',
      );
    }
    const receivedAt = new Date(clock.now());
    await manager.update(Trigger, { id: triggerId }, { lastCalledAt: receivedAt });
    const asked = { actor: { id: null, address: incoming.address }, action: 'callTrigger' };
    const answer = async (runId: string, duplicate: boolean): Promise<CallAnswer> => {
      const call = { at: receivedAt, ...asked, subjectType: 'Trigger', subjectId: triggerId };
      await record(manager, { ...call, detail: { exportId: trigger.exportId, runId, duplicate } });
      return { runId, duplicate };
    };
    if (known !== null) return answer(known.runId, true);
    const definition = await findExport(manager, trigger.exportId);
    const wish = { trigger: ExportRunTrigger.WEBHOOK, asked, force };
    const run = await queueRun(services, transaction, definition, wish);
    if (webhookId !== undefined) {
      await manager.insert(TriggerCall, { triggerId, webhookId, bodyHash, runId: run.id, receivedAt });
    }
    return answer(run.id, false);
  });
}

/** Whom nobody may call is checked like anybody else, against a secret that nobody knows. */
function isGenuine(services: CallServices, found: Trigger | null, proof: Proof): boolean {
  const isCallable = found?.enabled === true && found.authentication === proof.kind;
  const trigger = isCallable ? found : services.decoys[proof.kind];
  return isProven(services, trigger, proof, services.clock.now()) && isCallable;
}

function unknownCaller(): UnauthenticatedError {
  return new UnauthenticatedError(
    'There is no such trigger, it is disabled, or the call does not prove that it knows the secret.',
    'Check the address, the secret, and that exactly the bytes that are sent are signed.',
  );
}
