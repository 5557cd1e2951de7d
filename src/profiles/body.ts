import { addAbortSignal, finished, PassThrough, type Duplex, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { describeError } from '../errors.js';
import { BrokenBodyError } from './broken-body-error.js';

const SEND_AGAIN = 'Send the whole file again; what is stored already is recognised and costs little.';

/**
 * The bytes of a body, unpacked. Leaving the loop early does not close `body`: an HTTP request would lose its
 * connection, and its sender would never read why it was refused.
 * @param signal ends the loop, also while it waits for bytes; `body` stays open.
 * @throws {BrokenBodyError} when the body ends before its time; the signal's reason.
 */
export async function* openBody(
  body: Readable,
  gzip: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const source = gzip ? through(body, createGunzip()) : signal ? through(body, new PassThrough()) : body;
  if (signal !== undefined) addAbortSignal(signal, source);
  try {
    const chunks = source.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
    for await (const chunk of chunks) yield chunk;
  } catch (error: unknown) {
    signal?.throwIfAborted();
    throw describeBreak(error);
  } finally {
    if (source !== body) source.destroy();
  }
}

function through(body: Readable, next: Duplex): Readable {
  // `pipe` passes data on, but not that the sender has gone.
  finished(body, { writable: false }, (error) => {
    if (error) next.destroy(error);
  });
  return body.pipe(next);
}

function describeBreak(error: unknown): BrokenBodyError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'Z_BUF_ERROR') {
    return new BrokenBodyError('The gzip body ends before its end: it was cut off.', SEND_AGAIN);
  }
  if (code.startsWith('Z_')) {
    return new BrokenBodyError(
      `The body is not proper gzip: ${describeError(error)}.`,
      'Compress the file again, or send it without Content-Encoding.',
    );
  }
  return new BrokenBodyError(`The body broke off before its end: ${describeError(error)}.`, SEND_AGAIN);
}
