import express, { type Request, type RequestHandler, type Response } from 'express';
import { SluiceError } from '../errors.js';
import { newId } from '../ids.js';
import type { CallRate } from '../webhooks/call-rate.js';
import { recogniseCall, takeCall, type CallServices, type ProvenCall } from '../webhooks/receive-call.js';
import { RefusedCallError } from '../webhooks/refused-call.js';
import type { RefusedCall, WriteDownRefusedCall } from '../webhooks/refused-calls.js';
import type { Entrance } from './entrance.js';
import { answerFailure, badRequest } from './error-format.js';
import type { OpenRequest, Requests } from './requests.js';

export interface HookServices extends CallServices {
  readonly callRate: CallRate;
  readonly writeDownRefusedCall: WriteDownRefusedCall;
}

const MAX_BODY_BYTES = 64 * 1024;
/** Nobody has shown yet that they may call: who sends byte by byte must not keep a connection for ever. */
const BODY_DEADLINE_MS = 10_000;
/** Long enough for a restart. */
const RETRY_AFTER_SECONDS = 10;

/** The bytes as they came, of whatever type: they are what is signed. */
const readRawBody = express.raw({ type: () => true, limit: MAX_BODY_BYTES, inflate: false });

/** A body that cannot be taken, whatever it says. */
class UnusableBodyError extends Error {
  constructor(
    readonly status: 400 | 413 | 415,
    message: string,
    readonly remedy: string,
  ) {
    super(message);
    this.name = 'UnusableBodyError';
  }
}

/**
 * `POST /hooks/:triggerId`: 202 with `{runId, duplicate}`. In this order: size, rates (of the address, of the trigger),
 * encoding, and what `recogniseCall` and `takeCall` look at. What nobody foresaw, the database being away above all,
 * answers 503: the caller tries again, and nothing is lost. Whatever is refused is written down.
 */
export function hookRoute(
  services: HookServices,
  requests: Requests,
  { knock, addressOf }: Pick<Entrance, 'knock' | 'addressOf'>,
): RequestHandler {
  return async (request, response) => {
    const opened = requests.of(request);
    const called = { triggerId: String(request.params.triggerId), address: addressOf(request) };
    let call: ProvenCall | undefined;
    const refuse = (refusal: Omit<RefusedCall, keyof typeof called>) =>
      services.writeDownRefusedCall({ ...called, exportId: call?.trigger.exportId, ...refusal });
    try {
      const { body, encoding } = await readBody(request, response);
      await knock(request);
      services.callRate.count(called.triggerId);
      refuseEncoded(encoding);
      call = await recogniseCall(services, { ...called, headers: headersOf(request), body });
      response.status(202).json(await takeCall({ ...services, logger: opened.logger }, call));
    } catch (error: unknown) {
      if (error instanceof SluiceError) {
        await refuse(refusalOf(error));
        throw error;
      }
      if (error instanceof UnusableBodyError) {
        await refuse({ result: 'BAD_REQUEST', reason: error.message });
        answerFailure(response, badRequest(error.status, error.message, error.remedy), opened);
        return;
      }
      const correlationId = newId();
      opened.logger.error({ correlationId, err: error }, 'a call of a trigger could not be taken');
      answerUnavailable(response, correlationId, opened);
      // After the answer: while the database is away, this may take as long as the call did.
      const reason = 'The call could not be taken; the log has more.';
      await refuse({ result: 'INTERNAL_SERVER_ERROR', reason, correlationId });
    }
  };
}

/** Messages on the way of a call are ours, and quote nothing of it. */
function refusalOf(error: SluiceError): Pick<RefusedCall, 'result' | 'reason' | 'field'> {
  const reason = error instanceof RefusedCallError ? error.reason : error.message;
  return { result: error.code, reason, field: error.field };
}

/** @throws {UnusableBodyError} */
async function readBody(
  request: Request,
  response: Response,
): Promise<{ body: Buffer; encoding: string | undefined }> {
  // Out of the parser's sight, which would judge it before it looks at the size.
  const encoding = request.headers['content-encoding'];
  delete request.headers['content-encoding'];
  const tooLong = setTimeout(() => request.destroy(), BODY_DEADLINE_MS);
  const failure = await new Promise<unknown>((resolve) => {
    readRawBody(request, response, resolve);
  });
  clearTimeout(tooLong);
  if (failure === undefined) {
    const body: unknown = request.body;
    return { body: Buffer.isBuffer(body) ? body : Buffer.alloc(0), encoding };
  }
  const status = failure instanceof Error && 'status' in failure ? failure.status : undefined;
  throw status === 413
    ? new UnusableBodyError(413, 'The body is longer than 64 kB.', 'Send {"force": true}, {} or nothing.')
    : new UnusableBodyError(400, 'The body could not be read to its end.', 'Send it again.');
}

/** What is compressed is not what was signed. @throws {UnusableBodyError} */
function refuseEncoded(encoding: string | undefined): void {
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return;
  throw new UnusableBodyError(
    415,
    'The body has a Content-Encoding.',
    'Send it as it is, without compression.',
  );
}

function headersOf(request: Request) {
  return {
    webhookId: request.get('webhook-id'),
    timestamp: request.get('webhook-timestamp'),
    signatures: request.get('webhook-signature'),
    authorization: request.get('authorization'),
  };
}

function answerUnavailable(response: Response, correlationId: string, request: OpenRequest): void {
  const message = 'The call could not be taken just now.';
  const remedy = 'Send it again later, with the same webhook-id.';
  const extensions = { code: 'INTERNAL_SERVER_ERROR', remedy, correlationId };
  const headers = { 'Retry-After': String(RETRY_AFTER_SECONDS) };
  answerFailure(response, { status: 503, headers, body: { errors: [{ message, extensions }] } }, request);
}
