import pg from 'pg';
import { systemClock } from './clock.js';
import { describeError } from './errors.js';
import { newId } from './ids.js';
import type { Logger } from './logger.js';
import type { Wire } from './wire.js';

const CHANNEL = 'sluice';
/** What comes within this time travels together: NOTIFY takes a lock of the whole server at its commit. */
const GATHER_MS = 50;
/** Postgres refuses 8,000 bytes and more. */
const MAX_BYTES = 7_000;
/** Kept while the connection is down; whoever misses more looks at the rows anyway. */
const MAX_WAITING = 10_000;
const RECONNECT_MS = 500;
const CONNECT_TIMEOUT_MS = 5_000;
/** A connection that was cut without a word is found out by asking. */
const HEARTBEAT_MS = 5_000;
const HEARTBEAT_TIMEOUT_MS = 5_000;

/** Who tells, and what. */
type Message = readonly [sender: string, news: readonly (readonly [topic: string, about: string])[]];

/**
 * The wire over LISTEN and NOTIFY, on a connection of its own, which is opened again as often as it is lost. It lives by the
 * time of the machine, as networks do.
 * @throws if Postgres cannot be reached at the start.
 */
export async function openPostgresWire(url: string, { logger }: { readonly logger: Logger }): Promise<Wire> {
  const sender = newId();
  const listeners = new Map<string, Set<(about: string) => void>>();
  const waiting = new Map<string, readonly [topic: string, about: string]>();
  const closing = new AbortController();
  let client: pg.Client | undefined;
  let flushing = false;

  const isUp = () => client !== undefined;

  const connect = async () => {
    const opened = new pg.Client({
      connectionString: url,
      application_name: 'sluice wire',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: HEARTBEAT_TIMEOUT_MS,
      keepAlive: true,
    });
    // Without a listener a lost connection would end the process.
    opened.on('error', (error) => {
      lose(opened, error);
    });
    opened.on('end', () => {
      lose(opened, new Error('The connection ended.'));
    });
    opened.on('notification', ({ payload }) => {
      hearAll(payload ?? '');
    });
    try {
      await opened.connect();
      await opened.query(`LISTEN ${CHANNEL}`);
    } catch (error: unknown) {
      await opened.end().catch(() => undefined);
      throw error;
    }
    client = opened;
    void watch(opened);
    flush();
  };

  const hearAll = (payload: string) => {
    const message = parseMessage(payload);
    if (message === undefined) {
      logger.warn('somebody else tells things on our channel; they are passed over');
      return;
    }
    const [from, news] = message;
    if (from === sender) return;
    for (const [topic, about] of news) for (const listener of listeners.get(topic) ?? []) listener(about);
  };

  const lose = (lost: pg.Client, error: unknown) => {
    if (client !== lost) return;
    client = undefined;
    lost.end().catch(() => undefined);
    if (closing.signal.aborted) return;
    logger.warn({ why: describeError(error) }, 'the wire to the other processes is down; it is opened again');
    void reconnect();
  };

  const reconnect = async () => {
    for (;;) {
      await pause(RECONNECT_MS);
      if (closing.signal.aborted) return;
      // Why it fails was told once, when the connection was lost.
      const isUpAgain = await connect().then(
        () => true,
        () => false,
      );
      if (isUpAgain) break;
    }
    logger.info('the wire to the other processes is up again');
  };

  const watch = async (watched: pg.Client) => {
    while (client === watched) {
      await pause(HEARTBEAT_MS);
      if (client !== watched || closing.signal.aborted) return;
      await watched.query('SELECT 1').catch((error: unknown) => {
        lose(watched, error);
      });
    }
  };

  const pause = async (ms: number) => {
    try {
      await systemClock.sleep(ms, closing.signal);
    } catch (error: unknown) {
      if (!closing.signal.aborted) throw error;
    }
  };

  const flush = () => {
    if (flushing || waiting.size === 0) return;
    flushing = true;
    void (async () => {
      await pause(GATHER_MS);
      while (client !== undefined && waiting.size > 0) await send(client);
      flushing = false;
    })();
  };

  const send = async (through: pg.Client) => {
    const news: (readonly [topic: string, about: string])[] = [];
    let bytes = 0;
    for (const [key, item] of waiting) {
      bytes += Buffer.byteLength(JSON.stringify(item)) + 1;
      if (bytes > MAX_BYTES) break;
      news.push(item);
      waiting.delete(key);
    }
    const message: Message = [sender, news];
    try {
      await through.query('SELECT pg_notify($1, $2)', [CHANNEL, JSON.stringify(message)]);
    } catch (error: unknown) {
      for (const item of news) waiting.set(item.join(' '), item);
      lose(through, error);
    }
  };

  await connect();
  return {
    isShared: true,
    tell: (topic, about) => {
      if (waiting.size < MAX_WAITING) waiting.set(`${topic} ${about}`, [topic, about]);
      flush();
    },
    hear: (topic, listener) => {
      const theirs = listeners.get(topic) ?? new Set();
      listeners.set(topic, theirs.add(listener));
      return () => theirs.delete(listener);
    },
    isUp,
    close: async () => {
      const last = client;
      if (last !== undefined && waiting.size > 0) await send(last);
      closing.abort(new Error('The server is stopping.'));
      client = undefined;
      await last?.end();
    },
  };
}

/** Undefined: it is none of ours. */
function parseMessage(payload: string): Message | undefined {
  try {
    const message: unknown = JSON.parse(payload);
    return Array.isArray(message) && Array.isArray(message[1]) ? (message as unknown as Message) : undefined;
  } catch {
    return undefined;
  }
}
