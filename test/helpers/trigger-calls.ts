import { Webhook } from 'standardwebhooks';
import type { Sluice } from './sluice.js';

export interface IssuedTrigger {
  readonly id: string;
  readonly path: string;
  readonly secret: string;
}

export interface HookAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** As it came. */
  readonly text: string;
  readonly body: {
    readonly runId?: string;
    readonly duplicate?: boolean;
    readonly errors?: readonly {
      readonly message: string;
      readonly extensions: {
        readonly code: string;
        readonly field?: string;
        readonly retryAfterSeconds?: number;
        readonly correlationId?: string;
      };
    }[];
  };
}

export async function createTrigger(
  sluice: Sluice,
  exportId: string,
  authentication = 'SIGNATURE',
): Promise<IssuedTrigger> {
  const { createTrigger: made } = await sluice.query<{
    createTrigger: { trigger: { id: string; path: string }; secret: string };
  }>(
    `mutation ($exportId: ID!, $authentication: TriggerAuthentication!) {
      createTrigger(exportId: $exportId, name: "Test", authentication: $authentication) { trigger { id path } secret }
    }`,
    { exportId, authentication },
  );
  return { ...made.trigger, secret: made.secret };
}

/** POSTs to the path of a trigger, just as it is told; always under one id, so that answers can be compared. */
export async function post(
  sluice: Sluice,
  path: string,
  body: string | Buffer = '',
  headers: Readonly<Record<string, string>> = {},
): Promise<HookAnswer> {
  const response = await fetch(`${sluice.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-id': 'one-id', ...headers },
    body: typeof body === 'string' ? Buffer.from(body) : new Uint8Array(body),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: JSON.parse(text) as HookAnswer['body'],
  };
}

/** The headers with which the package `standardwebhooks` signs. */
export function signed(
  secret: string,
  id: string,
  body: string | Buffer = '',
  at: Date = new Date(),
): Record<string, string> {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(secret).sign(id, at, body),
  };
}

/** Calls a trigger as its owner does. */
export function call(
  sluice: Sluice,
  trigger: IssuedTrigger,
  id: string,
  body = '',
  at?: Date,
): Promise<HookAnswer> {
  return post(sluice, trigger.path, body, signed(trigger.secret, id, body, at));
}
