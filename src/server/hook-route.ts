import express, { type Request, type RequestHandler, type Response } from 'express';
import { SluiceError } from '../errors.js';
import { newId } from '../ids.js';
import type { CallRate } from '../webhooks/call-rate.js';
import { receiveCall, type CallServices } from '../webhooks/receive-call.js';
import { answerFailure } from './error-format.js';
import type { OpenRequest, Requests } from './requests.js';

export interface HookServices extends CallServices {
  readonly callRate: CallRate;
}

const MAX_BODY_BYTES = 64 * 1024;
/** Nobody has shown yet that they may call: who sends byte by byte must not keep a connection for ever. */
const BODY_DEADLINE_MS = 10_000;
/** Long enough for a restart. */
const RETRY_AFTER_SECONDS = 10;

/** The bytes as they came, of whatever type: they are what is signed. What is compressed is refused, for that reason. */
const readRawBody = express.raw({ type: () => true, limit: MAX_BODY_BYTES, inflate: false });

/**
 * `POST /hooks/:triggerId`: 202 with `{runId, duplicate}`. In this order: size, rate, and what `receiveCall` looks at.
 * What nobody foresaw, the database being away above all, answers 503: the caller tries again, and nothing is lost.
 */
export function hookRoute(
  services: HookServices,
  requests: Requests,
  addressOf: (request: Request) => string,
): RequestHandler {
  return async (request, response) => {
    const opened = requests.of(request);
    const answer = answerer(response, opened);
    if (!(await takeBody(request, response, answer))) return;
    const triggerId = String(request.params.triggerId);
    const address = addressOf(request);
    const waitSeconds = services.callRate.take(triggerId);
    if (waitSeconds !== undefined) {
      response.setHeader('Retry-After', waitSeconds);
      const message = 'The trigger is called too often.';
      answer(429, message, 'RATE_LIMITED', 'Wait as long as Retry-After says, in seconds.', {
        retryAfterSeconds: waitSeconds,
      });
      return;
    }
    try {
      const headers = {
        webhookId: request.get('webhook-id'),
        timestamp: request.get('webhook-timestamp'),
        signatures: request.get('webhook-signature'),
        authorization: request.get('authorization'),
      };
      const body: unknown = request.body;
      const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
      const call = { triggerId, address, headers, body: bytes };
      response.status(202).json(await receiveCall({ ...services, logger: opened.logger }, call));
    } catch (error: unknown) {
      if (error instanceof SluiceError) throw error;
      const correlationId = newId();
      opened.logger.error({ correlationId, err: error }, 'a call of a trigger could not be taken');
      response.setHeader('Retry-After', RETRY_AFTER_SECONDS);
      const message = 'The call could not be taken just now.';
      answer(503, message, 'INTERNAL_SERVER_ERROR', 'Send it again later, with the same webhook-id.', {
        correlationId,
      });
    }
  };
}

/** @returns false: the body cannot be taken, and the answer is given. */
async function takeBody(request: Request, response: Response, answer: Answer): Promise<boolean> {
  const tooLong = setTimeout(() => request.destroy(), BODY_DEADLINE_MS);
  const failure = await new Promise<unknown>((resolve) => {
    readRawBody(request, response, resolve);
  });
  clearTimeout(tooLong);
  if (failure === undefined) return true;
  const status = failure instanceof Error && 'status' in failure ? failure.status : undefined;
  if (status === 413) {
    answer(413, 'The body is longer than 64 kB.', 'BAD_REQUEST', 'Send {"force": true}, {} or nothing.');
  } else if (status === 415) {
    const message = 'The body has a Content-Encoding.';
    answer(415, message, 'BAD_REQUEST', 'Send it as it is, without compression.');
  } else {
    answer(400, 'The body could not be read to its end.', 'BAD_REQUEST', 'Send it again.');
  }
  return false;
}

/** Answers a failure in the shape of all the others. */
type Answer = (
  status: number,
  message: string,
  code: string,
  remedy: string,
  more?: Readonly<Record<string, unknown>>,
) => void;

function answerer(response: Response, request: OpenRequest): Answer {
  return (status, message, code, remedy, more = {}) => {
    const body = { errors: [{ message, extensions: { code, remedy, ...more } }] };
    answerFailure(response, { status, headers: {}, body }, request);
  };
}
