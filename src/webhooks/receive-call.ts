import { createHash } from 'node:crypto';
import { record } from '../audit/record.js';
import type { Database, Transaction } from '../database.js';
import { ExportRunTrigger } from '../entities/export-run.js';
import { Export } from '../entities/export.js';
import { Trigger, TriggerAuthentication, TriggerCall } from '../entities/trigger.js';
import { IdempotencyKeyReusedError } from '../errors.js';
import { looksLikeId } from '../ids.js';
import { accountLane } from '../lanes.js';
import { findExport } from '../exports/find-exports.js';
import { queueRun, type QueueRunServices } from '../exports/queue-run.js';
import { readBody, readHeaders, type IncomingCall } from './call.js';
import { RefusedCallError } from './refused-call.js';
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

/** A call whose caller has shown that it knows the secret of the trigger. */
export interface ProvenCall {
  readonly trigger: Trigger;
  readonly webhookId: string | undefined;
  readonly address: string;
  readonly body: Buffer;
}

/**
 * Recognises the caller of a trigger (Standard Webhooks): headers, time, signature over the raw bytes. Unknown and disabled
 * triggers and wrong signatures are told apart by no caller: the same error after the same work.
 * @throws {BadInputError} for headers that cannot be used; {UnauthenticatedError}, of which {RefusedCallError} keeps for
 *   itself what it was.
 */
export async function recogniseCall(services: CallServices, incoming: IncomingCall): Promise<ProvenCall> {
  const { webhookId, proof } = readHeaders(incoming, services.clock.now());
  const id = incoming.triggerId;
  // Postgres fails at some of what a path can hold.
  const found = looksLikeId(id) ? await services.database.reader.findOneBy(Trigger, { id }) : null;
  if (!isGenuine(services, found, proof) || found === null)
    throw new RefusedCallError(reasonOf(found, proof));
  return { trigger: found, webhookId, address: incoming.address, body: incoming.body };
}

/**
 * Takes a call: JSON; then, in one transaction, the run is queued or joined and the call remembered by its webhook-id, so
 * that the same call again gets the same run. Nothing is answered before that is durable.
 * @throws {BadInputError} for a body that cannot be used; {IdempotencyKeyReusedError} for a known webhook-id with another
 *   body; {RefusedCallError}; and as `queueRun`.
 */
export async function takeCall(services: CallServices, call: ProvenCall): Promise<CallAnswer> {
  const { database, clock } = services;
  const { webhookId } = call;
  const { force } = readBody(call.body);
  const bodyHash = createHash('sha256').update(call.body).digest('hex');
  return inLaneOfExport(database, call.trigger.exportId, async (transaction) => {
    const { manager } = transaction;
    const trigger = await manager.findOneBy(Trigger, { id: call.trigger.id, enabled: true });
    if (trigger === null) throw new RefusedCallError('The trigger was disabled or removed a moment ago.');
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
    const asked = { actor: { id: null, address: call.address }, action: 'callTrigger' };
    const answer = async (runId: string, duplicate: boolean): Promise<CallAnswer> => {
      const event = { at: receivedAt, ...asked, subjectType: 'Trigger', subjectId: triggerId };
      await record(manager, { ...event, detail: { exportId: trigger.exportId, runId, duplicate } });
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

/**
 * Calls of many triggers are taken side by side: each goes with what else is written for the account of its export, which
 * is all that it depends on and others write in a lane.
 */
async function inLaneOfExport<T>(
  database: Database,
  id: string,
  work: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  for (;;) {
    const account = (await database.reader.findOneBy(Export, { id }))?.account;
    const done = await database.transact(
      async (transaction) => {
        const present = await transaction.manager.findOneBy(Export, { id });
        // It was attached to another account before the lane was ours.
        return present?.account === account ? { result: await work(transaction) } : undefined;
      },
      account === undefined ? undefined : accountLane(account),
    );
    if (done !== undefined) return done.result;
  }
}

/** Whom nobody may call is checked like anybody else, against a secret that nobody knows. */
function isGenuine(services: CallServices, found: Trigger | null, proof: Proof): boolean {
  const isCallable = found?.enabled === true && found.authentication === proof.kind;
  const trigger = isCallable ? found : services.decoys[proof.kind];
  return isProven(services, trigger, proof, services.clock.now()) && isCallable;
}

function reasonOf(found: Trigger | null, proof: Proof): string {
  if (found === null) return 'There is no such trigger.';
  if (!found.enabled) return 'The trigger is disabled.';
  if (found.authentication !== proof.kind) {
    return `The trigger wants ${found.authentication}, and the call came with ${proof.kind}.`;
  }
  return proof.kind === TriggerAuthentication.BEARER
    ? 'The secret is not that of the trigger.'
    : 'The signature was not made over this call with the secret of the trigger.';
}
