import { on, once } from 'node:events';
import { WebSocket, type ClientOptions } from 'ws';
import { TEST_TOKEN, type Sluice } from './sluice.js';

export interface Message {
  readonly type: string;
  readonly payload?: unknown;
}

/** A client that speaks the protocol word by word. */
export class RawClient {
  readonly socket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #messages: AsyncIterator<unknown[], undefined>;

  constructor(sluice: Sluice, options: ClientOptions & { protocol?: string } = {}) {
    this.socket = new WebSocket(sluice.webSocketUrl, options.protocol ?? 'graphql-transport-ws', options);
    this.closed = once(this.socket, 'close').then(([code, reason]) => ({
      code: code as number,
      reason: String(reason),
    }));
    this.#messages = on(this.socket, 'message', { close: ['close'] });
  }

  async send(message: Message & { id?: string }): Promise<void> {
    await this.sendRaw(JSON.stringify(message));
  }

  async next(): Promise<Message> {
    const result = await this.#messages.next();
    if (result.done) throw new Error('The socket was closed.');
    const [data] = result.value as [Buffer];
    return JSON.parse(data.toString()) as Message;
  }

  /** Sends what may be no message at all. */
  async sendRaw(data: string | Buffer): Promise<void> {
    if (this.socket.readyState === WebSocket.CONNECTING) await once(this.socket, 'open');
    this.socket.send(data);
  }

  async init(authorization: unknown = `Bearer ${TEST_TOKEN}`): Promise<void> {
    await this.send({ type: 'connection_init', payload: { authorization } });
  }

  /** What comes back for a subscribe message. */
  async subscribe(query: string, variables?: Record<string, unknown>): Promise<Message> {
    await this.send({ id: '1', type: 'subscribe', payload: { query, variables } });
    return this.next();
  }
}

/** A client whose connection_init was accepted. */
export async function admitted(sluice: Sluice): Promise<RawClient> {
  const client = new RawClient(sluice);
  await client.init();
  expect(await client.next()).toEqual({ type: 'connection_ack' });
  return client;
}
