import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import type { SubscribePayload } from 'graphql-ws';
import { systemClock } from '../clock.js';
import { newId } from '../ids.js';
import type { Logger } from '../logger.js';

/** A request at one of the doors, under the id by which its caller and the log speak of it. */
export interface OpenRequest {
  readonly id: string;
  /** For everything that is done for this request: each of its lines carries `requestId`. */
  readonly logger: Logger;
}

/** Knows every request by what came in. */
export interface Requests {
  /** A request over HTTP, the opening of a socket included. */
  readonly of: (request: IncomingMessage) => OpenRequest;
  /** An operation over WebSocket, by its subscribe message. Its id may come in `extensions.requestId`. */
  readonly ofOperation: (payload: SubscribePayload) => OpenRequest;
  /** The first handler of all: tells the caller the id, and the log the end of the request. */
  readonly mark: RequestHandler;
  /** The request over HTTP that is being handled: for Apollo, which tells its `formatError` nothing of it. */
  readonly current: () => OpenRequest;
}

/** Ids from outside go into logs and answers as they are: what a UUID, a trace id or a counter is written with. */
const WELL_FORMED = /^[\w.:+/=-]{1,100}$/;

/**
 * Why loggers are passed on rather than found by an AsyncLocalStorage: work of several requests and runs shares
 * transactions, queues and timers (docs/adr/096), where what is found would be somebody else's id.
 */
export function createRequests(logger: Logger): Requests {
  const known = new WeakMap<object, OpenRequest>();
  const handled = new AsyncLocalStorage<OpenRequest>();

  const open = (what: object, given: unknown): OpenRequest => {
    const id = typeof given === 'string' && WELL_FORMED.test(given) ? given : newId();
    const request = { id, logger: logger.child({ requestId: id }) };
    known.set(what, request);
    return request;
  };
  const of: Requests['of'] = (request) =>
    known.get(request) ?? open(request, request.headers['x-request-id']);

  return {
    of,
    ofOperation: (payload) => known.get(payload) ?? open(payload, payload.extensions?.requestId),
    mark: (request, response, next) => {
      const opened = of(request);
      response.setHeader('X-Request-Id', opened.id);
      const startedAt = systemClock.monotonic();
      const { method, path } = request;
      response.once('close', () => {
        const ms = Math.round(systemClock.monotonic() - startedAt);
        // Without the query, which may hold names. A status that never went out is none.
        const status = response.headersSent ? response.statusCode : undefined;
        opened.logger.debug({ method, path, status, ms }, 'request answered');
      });
      handled.run(opened, next);
    },
    current: () => handled.getStore() ?? open({}, undefined),
  };
}
