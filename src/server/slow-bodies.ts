import type { Request, RequestHandler, Response } from 'express';
import { answerFailure, badRequest } from './error-format.js';
import type { DoorLimits } from './limits.js';
import type { OpenRequest, Requests } from './requests.js';

/** Handlers against bodies that come so slowly that they are meant to hold a connection. */
export interface SlowBodies {
  /** For every request: the body is there within `bodyMs`, also one that nobody reads any more. */
  readonly watch: RequestHandler;
  /** For this one: it may take longer, as long as it keeps coming. */
  readonly allowLong: RequestHandler;
}

type Limits = Pick<DoorLimits, 'bodyMs' | 'importWindowMs' | 'importBytesPerWindow'>;

/** node has one limit for all requests of a server (`requestTimeout`); it would cut an import of any size. */
export function createSlowBodies(
  { bodyMs, importWindowMs, importBytesPerWindow }: Limits,
  requests: Requests,
): SlowBodies {
  const timers = new WeakMap<Request, NodeJS.Timeout>();
  const set = (request: Request, timer: NodeJS.Timeout) => {
    clearTimeout(timers.get(request));
    timers.set(request, timer.unref());
  };
  return {
    watch: (request, response, next) => {
      const late = () => {
        giveUp(request, response, requests.of(request), `Send it within ${bodyMs / 1_000} s.`);
      };
      set(request, setTimeout(late, bodyMs));
      request.once('close', () => {
        clearTimeout(timers.get(request));
      });
      next();
    },

    allowLong: (request, response, next) => {
      let seen = request.socket.bytesRead;
      const judge = () => {
        const arrived = request.socket.bytesRead - seen;
        seen += arrived;
        // What lies here unread waits for us, not for the sender.
        if (arrived >= importBytesPerWindow || request.readableLength > 0) return;
        const rate = `${importBytesPerWindow} bytes in every ${importWindowMs / 1_000} s`;
        const remedy = `Send it again, at least ${rate}; lines that came whole are stored.`;
        giveUp(request, response, requests.of(request), remedy);
      };
      // Timers come before what has arrived: after a pause of this process the body may lie here unread.
      set(
        request,
        setInterval(() => setImmediate(judge), importWindowMs),
      );
      next();
    },
  };
}

function giveUp(request: Request, response: Response, opened: OpenRequest, remedy: string): void {
  if (request.complete) return;
  if (response.headersSent) {
    request.socket.destroy();
    return;
  }
  // Once it is answered, node does not tell the request any more that its connection has gone: whoever reads the body
  // would wait for ever.
  request.socket.once('close', () => request.destroy());
  response.set('Connection', 'close');
  answerFailure(response, badRequest(408, 'The body of the request came too slowly.', remedy), opened);
}
