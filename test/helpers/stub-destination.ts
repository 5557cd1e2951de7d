import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Clock } from '../../src/clock.js';
import type { Destination } from '../../src/destinations/destination.js';
import { createDestinations, type DestinationOptions } from '../../src/destinations/registry.js';
import { createLogger } from '../../src/logger.js';

/** What a stub answers: a status and a body (JSON unless it is a string), or whatever the function does. */
export type StubAnswer =
  | { status?: number; headers?: Record<string, string>; body?: unknown }
  | ((request: IncomingMessage, response: ServerResponse) => void);

export interface StubCall {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface Stub {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly calls: readonly StubCall[];
  close(): Promise<void>;
}

/** A server that gives the odd answers that the sandbox cannot give. */
export async function startStub(answerTo: (call: StubCall) => StubAnswer): Promise<Stub> {
  const calls: StubCall[] = [];
  const respond = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '', headers } = request;
    const call = { method, path: url.replace('/api/3', ''), headers, body: await text(request) };
    calls.push(call);
    const answer = answerTo(call);
    if (typeof answer === 'function') {
      answer(request, response);
      return;
    }
    response.writeHead(answer.status ?? 200, answer.headers);
    response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {}));
  };
  const server = createServer((request, response) => void respond(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** Time that passes only while somebody sleeps, and then at once. */
export interface FakeTime extends Clock {
  readonly slept: number[];
}

export function fakeTime(startMs = Date.UTC(2026, 0, 1)): FakeTime {
  const slept: number[] = [];
  let nowMs = startMs;
  return {
    slept,
    now: () => nowMs,
    monotonic: () => nowMs,
    sleep: (ms) => {
      slept.push(ms);
      nowMs += ms;
      return Promise.resolve();
    },
  };
}

/** The ActiveCampaign adapter as the server has it, for these sandboxes or stubs. */
export function activeCampaignAt(
  hosts: readonly string[],
  options: Partial<DestinationOptions> = {},
): Destination {
  return createDestinations({
    suffixes: ['api-us1.com', 'activehosted.com'],
    sandboxHosts: hosts,
    sandboxTimeScale: 1,
    clock: fakeTime(),
    logger: createLogger('silent'),
    ...options,
  }).ACTIVE_CAMPAIGN;
}

/** The error with which the promise rejects; fails if it does not. */
export async function errorOf(promise: Promise<unknown>): Promise<Error> {
  const outcome = await promise.then(
    () => 'it went well',
    (error: unknown) => error,
  );
  if (!(outcome instanceof Error)) throw new Error(`Expected an error, but ${String(outcome)}.`);
  return outcome;
}
