import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocketServer } from 'ws';
import { NotFoundError } from '../errors.js';
import type { Entrance } from './entrance.js';
import { badRequest, describeFailure, identify, type FailureAnswer } from './error-format.js';
import { answerRaw } from './raw-answer.js';
import type { Requests } from './requests.js';

interface UpgradeParts {
  readonly entrance: Entrance;
  readonly requests: Requests;
  /** Origins whose pages may open a socket. */
  readonly corsOrigins: readonly string[];
}

/**
 * Who may turn a request into a WebSocket. Browsers ask nobody before they open one, CORS is not for them: they send the
 * origin of the page, and it is for the server to look at it. Programs send none.
 */
export function acceptUpgrades(
  http: HttpServer,
  sockets: WebSocketServer,
  { entrance, requests, corsOrigins }: UpgradeParts,
): void {
  const accept = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    // A connection that breaks now must not end the process; ws looks after it from handleUpgrade on.
    const ignore = () => undefined;
    socket.on('error', ignore);
    const opened = requests.of(request);
    try {
      await entrance.knock(request);
      const refusal = refuse(request, corsOrigins);
      if (refusal !== undefined) {
        answerRaw(socket, identify(refusal, opened));
        return;
      }
      socket.off('error', ignore);
      sockets.handleUpgrade(request, socket, head, (webSocket) =>
        sockets.emit('connection', webSocket, request),
      );
    } catch (error: unknown) {
      answerRaw(socket, identify(describeFailure(error, opened.logger), opened));
    }
  };
  sockets.on('headers', (headers, request) => {
    headers.push(`X-Request-Id: ${requests.of(request).id}`);
  });
  http.on('upgrade', (request, socket, head) => void accept(request, socket, head));
  sockets.on('wsClientError', (error, socket) => {
    answerRaw(socket, badRequest(400, error.message, 'Open it with a client for WebSocket, version 13.'));
  });
}

/** @throws {NotFoundError} for another address. */
function refuse(
  { url = '', headers }: IncomingMessage,
  corsOrigins: readonly string[],
): FailureAnswer | undefined {
  if (url.split('?')[0] !== '/graphql') throw new NotFoundError('address', 'WebSockets are at /graphql.');
  if (headers.origin !== undefined && !corsOrigins.includes(headers.origin)) {
    const remedy = 'Ask the operator to add the origin of the page to SLUICE_CORS_ORIGINS.';
    return badRequest(403, 'Pages of this origin may not open sockets here.', remedy);
  }
  return undefined;
}
