import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { answerCall, type Half, loseReceipt, type Outcome } from './api.js';
import { answerControl, CONTROL_PREFIX } from './control.js';
import type { Operator } from './operator.js';
import type { Reply } from './reply.js';

/** Longer than any client keeps an idle connection, so that the sandbox never closes one under a new request. */
const KEEP_ALIVE_MS = 120_000;

/** Both doors on one port: the emulated API, and the sandbox's own control under /sandbox. */
export function createSandboxServer(operator: Operator): Server {
  const server = createServer((request, response) => {
    readBody(request, (body) => {
      const target = request.url ?? '/';
      const mark = target.indexOf('?');
      const path = mark < 0 ? target : target.slice(0, mark);
      const query = mark < 0 ? '' : target.slice(mark + 1);
      if (path === CONTROL_PREFIX || path.startsWith(`${CONTROL_PREFIX}/`)) {
        answerControl(operator, { method: request.method ?? 'GET', path, query, body }, response);
        return;
      }
      const key = request.headers['api-token'];
      const outcome = answerCall(operator.account, {
        method: request.method ?? 'GET',
        path,
        query,
        host: request.headers.host ?? '',
        key: Array.isArray(key) ? key[0] : key,
        body,
      });
      carryOut(operator, outcome, response);
    });
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.requestTimeout = 0;
  return server;
}

/** Calls back with the whole body; never, if the caller goes away before. */
function readBody(request: IncomingMessage, done: (body: Buffer) => void): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const [first] = chunks;
    done(chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks));
  });
}

function carryOut({ account }: Operator, outcome: Outcome, response: ServerResponse): void {
  const { call } = outcome;
  switch (outcome.kind) {
    case 'hang':
      account.journal.finished(call, 0);
      return;
    case 'reset':
      response.socket?.resetAndDestroy();
      account.journal.finished(call, 0);
      return;
    case 'reply': {
      const send = (): void => {
        if (response.destroyed) {
          loseReceipt(account, call);
          account.journal.finished(call, 0);
          return;
        }
        write(response, outcome.reply, account.clock.now(), outcome.half);
        account.journal.finished(call, outcome.reply.status);
      };
      if (outcome.delayMs === 0) send();
      else account.clock.at(account.clock.now() + outcome.delayMs, send);
      return;
    }
  }
}

/** Writes an answer with the headers of the edge. `Date` is sandbox time: callers may tell the account's time by it. */
function write(response: ServerResponse, reply: Reply, now: number, half: Half): void {
  const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
  const whole = Buffer.from(text);
  const bytes = half === 'no' ? whole : whole.subarray(0, Math.floor(whole.length / 2));
  response.sendDate = false;
  response.writeHead(reply.status, {
    date: new Date(now).toUTCString(),
    'content-type': reply.contentType,
    'content-length': half === 'broken' ? whole.length : bytes.length,
    'cache-control': 'no-store, no-cache, must-revalidate',
    expires: 'Thu, 19 Nov 1981 08:52:00 GMT',
    pragma: 'no-cache',
    ...reply.headers,
  });
  if (half === 'broken') response.write(bytes, () => response.socket?.destroy());
  else response.end(bytes);
}
