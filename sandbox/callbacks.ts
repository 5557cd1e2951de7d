import { request, validateHeaderName, validateHeaderValue } from 'node:http';
import type { Account } from './account.js';
import type { Batch } from './batch.js';
import type { ImportCallback } from './importer.js';

/**
 * Tells the caller's URL that a batch has ended: once, unsigned, unrepeated. Only a loopback address over http is
 * ever called. The wire format is documented nowhere; docs/sandbox.md shows the one chosen here.
 */
export function makeCallback(account: Account, callback: ImportCallback, batch: Batch): void {
  const url = new URL(callback.url);
  const called = url.protocol === 'http:' && isLoopback(url.hostname);
  const record = { at: account.clock.now(), batchId: batch.id, url: callback.url, called, status: 0 };
  account.callbacks.push(record);
  if (!called) return;

  const params: [string, string][] = callback.params.map(({ key, value }) => [key, value]);
  const headers: Record<string, string> = {};
  for (const { key, value } of callback.headers) headers[key] = value;
  let body = '';
  if (callback.method === 'GET') {
    for (const [key, value] of params) url.searchParams.append(key, value);
  } else {
    const details = callback.detailedResults ? detailsOf(batch) : {};
    if (account.settings.callbackFormat === 'json') {
      body = JSON.stringify({ ...Object.fromEntries(params), ...details });
      headers['content-type'] = 'application/json';
    } else {
      const form = new URLSearchParams(params);
      for (const [key, value] of Object.entries(details)) {
        for (const entry of [value].flat())
          form.append(Array.isArray(value) ? `${key}[]` : key, String(entry));
      }
      body = form.toString();
      headers['content-type'] = 'application/x-www-form-urlencoded';
    }
    headers['content-length'] = String(Buffer.byteLength(body));
  }
  const outgoing = request(url, { method: callback.method, agent: false });
  outgoing.on('response', (response) => {
    record.status = response.statusCode ?? 0;
    response.resume();
  });
  // Nobody there is nobody there: there are no retries, and the record already says 0.
  outgoing.on('error', () => undefined);
  for (const [name, value] of Object.entries(headers)) {
    // A header that HTTP cannot carry is left out; it must not bring the account down.
    if (isHeader(name, value)) outgoing.setHeader(name, value);
  }
  outgoing.end(body);
}

function detailsOf(batch: Batch): { success: number; failure: number; errors: string[] } {
  return {
    success: batch.end === 'completed' ? batch.size - batch.failure.length : 0,
    failure: batch.failure.length,
    errors: batch.failure.map((email) => `${email} could not be imported`),
  };
}

function isHeader(name: string, value: string): boolean {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return true;
  } catch {
    return false;
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}
