import { Agent } from 'node:http';
import type { LookupFunction } from 'node:net';
import axios, { AxiosHeaders, type AxiosResponse } from 'axios';
import { RequestFilteringHttpsAgent } from 'request-filtering-agent';
import type { Logger } from '../logger.js';
import { RetryLaterError } from './destination.js';
import { watchDeparture } from './departure.js';

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  /** Already judged by the host guard (security/hosts.ts). */
  readonly host: string;
  /** With its leading slash. Logged at level debug, so nothing secret or personal belongs in it. */
  readonly path: string;
  /** Goes behind the path and into no log: the place for e-mail addresses. */
  readonly query?: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

export interface HttpAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/**
 * Sends one request and returns whatever is answered.
 * @throws {RetryLaterError} when nothing usable is answered; `taken` is NO if the request surely did not leave.
 */
export type HttpClient = (request: HttpRequest) => Promise<HttpAnswer>;

/**
 * Starts the time that one answer may take, and calls `breakOff` when it is over.
 * @returns what ends it before: the answer is here.
 */
export type StartDeadline = (breakOff: () => void, timeoutMs: number) => () => void;

export interface HttpOptions {
  /** `host:port` of sandboxes, spoken to over plain http and without the address guard. */
  readonly sandboxHosts: readonly string[];
  readonly logger: Logger;
  /** From the first attempt to connect to the last byte of the answer. */
  readonly timeoutMs?: number;
  /** By default a timer of the machine. */
  readonly startDeadline?: StartDeadline | undefined;
  /** An answer that is longer, unpacked, is given up. */
  readonly maxAnswerBytes?: number;
  /** Breaks off every request: the process is stopping. */
  readonly stopping?: AbortSignal;
  /** Asks for the addresses of a name; by default the machine's own resolver. */
  readonly lookup?: LookupFunction;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_MAX_ANSWER_BYTES = 10_000_000;

/** What became of a request that got no answer, by the code of the error. */
const FAULTS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such host name',
  EAI_AGAIN: 'its name could not be looked up',
  ECONNREFUSED: 'it refused the connection',
  ECONNRESET: 'it broke the connection off',
  EPIPE: 'it broke the connection off',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to it',
  ETIMEDOUT: 'it did not answer in time',
  ERR_CANCELED: 'it did not answer in time',
};

/** Something answered, but not as a destination does. */
const NONSENSE: Readonly<Record<string, string>> = {
  ERR_BAD_RESPONSE: 'its answer was too long or broke off',
  HPE_HEADER_OVERFLOW: 'the headers of its answer were too long',
  EPROTO: 'it does not speak TLS',
  Z_DATA_ERROR: 'its answer could not be unpacked',
  Z_BUF_ERROR: 'its answer could not be unpacked',
};

const BAD_CERTIFICATES: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  CERT_REVOKED: 'its certificate was revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is signed by nobody known',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate is signed by nobody known',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is signed by nobody known',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is signed by nobody known',
};

/**
 * The only way out to destinations: pooled connections, no proxy, no redirect, a limit for time and length.
 *
 * Real hosts are called over https by an agent that looks at the address behind the name at the moment of connecting,
 * which defeats names that lead to private addresses, also those that change between check and use. Only axios's http
 * adapter honours the agent: with the fetch adapter the guard would silently be gone.
 *
 * No axios error leaves this file: they hold the request's headers, and so the API key.
 */
export function createHttp(options: HttpOptions): HttpClient {
  const { sandboxHosts, logger, timeoutMs = DEFAULT_TIMEOUT_MS, startDeadline = startTimer } = options;
  const guarded = new RequestFilteringHttpsAgent({
    keepAlive: true,
    ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
  });
  const client = axios.create({
    adapter: 'http',
    proxy: false,
    maxRedirects: 0,
    httpAgent: new Agent({ keepAlive: true }),
    httpsAgent: guarded,
    maxContentLength: options.maxAnswerBytes ?? DEFAULT_MAX_ANSWER_BYTES,
    responseType: 'text',
    transformResponse: (body: string) => body,
    validateStatus: () => true,
  });

  return async ({ method, host, path, query, headers, body }) => {
    const scheme = sandboxHosts.includes(host) ? 'http' : 'https';
    // One signal of its own for each call: what `AbortSignal.any` hangs on a signal that lives on is never let go.
    const breakOff = new AbortController();
    const abort = () => {
      breakOff.abort();
    };
    options.stopping?.addEventListener('abort', abort, { once: true });
    if (options.stopping?.aborted) abort();
    // axios's own `timeout` starts anew with every byte, so that an answer that drips in would never time out.
    const endDeadline = startDeadline(abort, timeoutMs);
    const departure = watchDeparture();
    try {
      const response = await client.request<string>({
        method,
        url: `${scheme}://${host}${path}${query === undefined ? '' : `?${query.toString()}`}`,
        headers,
        data: body,
        signal: breakOff.signal,
        transport: departure.transport,
      });
      logger.debug({ host, method, path, status: response.status }, 'destination answered');
      return { status: response.status, headers: headersOf(response), body: response.data };
    } catch (error: unknown) {
      const { fault, instead } = faultOf(error);
      logger.debug({ host, method, path, fault }, 'destination did not answer');
      const taken = departure.mayHaveLeft() ? 'UNKNOWN' : 'NO';
      throw new RetryLaterError(`${host} could not be reached: ${fault}.`, undefined, false, instead, taken);
    } finally {
      endDeadline();
      options.stopping?.removeEventListener('abort', abort);
    }
  };
}

const startTimer: StartDeadline = (breakOff, timeoutMs) => {
  const timer = setTimeout(breakOff, timeoutMs);
  return () => {
    clearTimeout(timer);
  };
};

function headersOf(response: AxiosResponse): ReadonlyMap<string, string> {
  const headers = Object.entries(AxiosHeaders.from(response.headers as AxiosHeaders).toJSON());
  return new Map(headers.map(([name, value]) => [name.toLowerCase(), String(value)]));
}

function faultOf(error: unknown): { fault: string; instead: RetryLaterError['instead'] } {
  const code = axios.isAxiosError(error) || axios.isCancel(error) ? error.code : undefined;
  if (code === undefined) return { fault: withoutCode(error), instead: 'NOTHING' };
  const certificate = BAD_CERTIFICATES[code];
  if (certificate !== undefined) return { fault: certificate, instead: 'BAD_CERTIFICATE' };
  // The codes of the HTTP parser are many: whatever it cannot read is nonsense.
  const nonsense =
    NONSENSE[code] ?? (code.startsWith('HPE_') ? `it does not speak HTTP (${code})` : undefined);
  if (nonsense !== undefined) return { fault: nonsense, instead: 'NONSENSE' };
  return { fault: FAULTS[code] ?? `the connection failed (${code})`, instead: 'NOTHING' };
}

function withoutCode(error: unknown): string {
  // The address guard's errors have no code, only this sentence.
  return error instanceof Error && error.message.includes('is not allowed')
    ? 'its name leads to a private address, and the server does not call those'
    : 'the connection failed';
}
