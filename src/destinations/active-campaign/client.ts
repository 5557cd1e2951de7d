import type { Clock } from '../../clock.js';
import { type Credentials, RetryLaterError } from '../destination.js';
import type { HttpAnswer, HttpClient, HttpRequest } from '../http.js';
import { type JsonObject, parseObject } from './json.js';
import { wrongKey } from './problems.js';

/**
 * An answer, by what it may mean. Whether a person must act depends on more than one answer (see identity.ts); that
 * the call is to be made again later does not, and is thrown as RetryLaterError.
 */
export type Answer =
  /** `at` is its `Date`, in ms since 1970. */
  | { readonly kind: 'OK'; readonly body: JsonObject; readonly at: number | undefined }
  /** 2xx, but no JSON object: a web page. */
  | { readonly kind: 'NOT_JSON' }
  | { readonly kind: 'REDIRECT' }
  /** 400, 413, 422: something in the request. */
  | { readonly kind: 'BAD_REQUEST'; readonly status: number; readonly body: JsonObject | undefined }
  | { readonly kind: 'UNPAID' }
  | { readonly kind: 'FORBIDDEN' }
  /** `body` is undefined for a web page, which tells of an unknown route rather than of an unknown thing. */
  | { readonly kind: 'NOT_FOUND'; readonly body: JsonObject | undefined };

export interface Client {
  /** @throws {RetryLaterError} | {FixCredentialsError} for a key that cannot even be sent. */
  get(credentials: Credentials, path: string, query?: URLSearchParams): Promise<Answer>;
  /** @throws as `get`. */
  post(credentials: Credentials, path: string, body: Buffer): Promise<Answer>;
  /** Waits so many milliseconds of the destination's time. */
  pause(credentials: Credentials, ms: number): Promise<void>;
  /** Milliseconds of the destination's time as they pass here. */
  scaled(credentials: Credentials, ms: number): number;
  /** The latest `Date` among the answers of this host, in ms since 1970; undefined before the first. */
  timeAt(host: string): number | undefined;
}

export interface ClientServices {
  readonly http: HttpClient;
  readonly clock: Clock;
  /** How many times faster time passes at this host: 1, except for sandboxes. */
  readonly timeScaleOf: (host: string) => number;
}

/** Beyond this a `Retry-After` is not believed: timers have an upper limit, and so have runs. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/** Answers that are under way together arrive within this time. */
const TIME_KEPT_MS = 10_000;

/** The visible ASCII characters: what a header can carry and a key consists of. */
const SENDABLE_KEY = /^[\x21-\x7e]+$/;

export function createClient({ http, clock, timeScaleOf }: ClientServices): Client {
  const scaled = ({ host }: Credentials, ms: number) => ms / timeScaleOf(host);
  const times = new Map<string, { time: number; seenAt: number }>();

  // Answers overtake each other, and the machines behind one name differ by a little: the greatest is kept. But not for
  // ever: a clock may be put back, and one answer may show a wrong time.
  function noteTime(time: number | undefined, host: string): void {
    if (time === undefined) return;
    const now = clock.monotonic();
    const kept = times.get(host);
    const isOld = kept !== undefined && now - kept.seenAt > TIME_KEPT_MS;
    if (kept === undefined || isOld || time >= kept.time) times.set(host, { time, seenAt: now });
  }

  async function call(
    credentials: Credentials,
    request: Pick<HttpRequest, 'method' | 'path' | 'query' | 'body'>,
  ): Promise<Answer> {
    const { host, apiKey } = credentials;
    if (!SENDABLE_KEY.test(apiKey)) throw wrongKey();
    const headers = { 'Api-Token': apiKey, Accept: 'application/json', 'Content-Type': 'application/json' };
    const exchange = async () => {
      const answer = await http({ ...request, host, path: `/api/3${request.path}`, headers });
      const at = dateOf(answer);
      noteTime(at, host);
      const retryAfterMs = parseRetryAfter(answer, clock.now());
      return classify(
        answer,
        host,
        at,
        retryAfterMs === undefined ? undefined : scaled(credentials, retryAfterMs),
      );
    };
    return credentials.turn === undefined ? exchange() : credentials.turn(exchange);
  }

  return {
    get: (credentials, path, query) => call(credentials, { method: 'GET', path, query }),
    post: (credentials, path, body) => call(credentials, { method: 'POST', path, body }),
    pause: (credentials, ms) => clock.sleep(scaled(credentials, ms)),
    scaled,
    timeAt: (host) => times.get(host)?.time,
  };
}

/**
 * The one place where statuses get their meaning. JSON is looked for whatever the content type: the importer answers
 * JSON as text/html (reference §3.2), while web pages come with any status (§1.3).
 */
function classify(
  { status, body: text }: HttpAnswer,
  host: string,
  at: number | undefined,
  retryAfterMs: number | undefined,
): Answer {
  if (status >= 300 && status < 400) return { kind: 'REDIRECT' };
  const body = parseObject(text);
  if (status >= 200 && status < 300)
    return body === undefined ? { kind: 'NOT_JSON' } : { kind: 'OK', body, at };
  switch (status) {
    case 400:
    case 413:
    case 422:
      return { kind: 'BAD_REQUEST', status, body };
    case 401:
    case 403:
      return { kind: 'FORBIDDEN' };
    case 402:
      return { kind: 'UNPAID' };
    case 404:
      return { kind: 'NOT_FOUND', body };
    default: {
      // 503 was the answer to calling too often before 429 was (§2.1).
      const tooFast = status === 429 || status === 503;
      const meaning = tooFast ? 'it is called too often or too busy' : 'it cannot answer properly now';
      const message = `${host} answered with status ${status}: ${meaning}.`;
      throw new RetryLaterError(message, retryAfterMs, tooFast, 'NOTHING', takenAt(status));
    }
  }
}

/** When the answer was written, in ms since 1970. */
function dateOf({ headers }: Pick<HttpAnswer, 'headers'>): number | undefined {
  const time = Date.parse(headers.get('date') ?? '');
  return Number.isNaN(time) ? undefined : time;
}

/**
 * Whether a request that was answered with this status may have been taken. A refusal (4xx, and 503, which is a refusal of
 * pace) is proof that it was not. Other 5xx can come from a proxy in front of a server that went on, 2xx without a receipt
 * and 3xx from anything.
 */
function takenAt(status: number): RetryLaterError['taken'] {
  return (status >= 400 && status < 500) || status === 503 ? 'NO' : 'UNKNOWN';
}

/** The same for an answer by its kind: whatever else was asked afterwards tells nothing about the request itself. */
export function takenAfter({ kind }: Answer): RetryLaterError['taken'] {
  return kind === 'OK' || kind === 'NOT_JSON' || kind === 'REDIRECT' ? 'UNKNOWN' : 'NO';
}

/**
 * `Retry-After`, which is seconds or an HTTP date (RFC 9110, 10.2.3), in milliseconds of the destination's time. A date
 * is compared with the answer's own `Date`, so that clocks that differ do no harm.
 */
function parseRetryAfter({ headers }: HttpAnswer, nowMs: number): number | undefined {
  const text = headers.get('retry-after')?.trim();
  if (text === undefined) return undefined;
  const answeredAt = dateOf({ headers });
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - (answeredAt ?? nowMs);
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}
