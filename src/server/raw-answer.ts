import { STATUS_CODES, type Server as HttpServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { badRequest, type FailureAnswer } from './error-format.js';

/** Answers on a bare connection, where there is no response object, and closes it. */
export function answerRaw(socket: Duplex, { status, headers, body }: FailureAnswer): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const json = JSON.stringify(body);
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(json)}`,
    'Connection: close',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${json}`, () => socket.destroy());
}

/** What node answers by itself, with an empty body, is told in JSON like everything else. */
export function answerBrokenRequests(http: HttpServer): void {
  http.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET') socket.destroy();
    else answerRaw(socket, describeBrokenRequest(error.code));
  });
  http.on('checkExpectation', (_request, response) => {
    const { status, body } = badRequest(
      417,
      'The expectation of the request cannot be met.',
      'Send it without "Expect".',
    );
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', connection: 'close' });
    response.end(JSON.stringify(body));
  });
}

function describeBrokenRequest(code: string | undefined): FailureAnswer {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return badRequest(408, 'The headers of the request came too slowly.', 'Send it again, without pauses.');
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return badRequest(431, 'The headers of the request are too long.', 'Send at most 16 kB of headers.');
  }
  return badRequest(
    400,
    'This is not a request that HTTP/1.1 understands.',
    'Send it with a client for HTTP.',
  );
}
