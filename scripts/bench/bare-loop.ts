import { Agent, request } from 'node:http';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import axios from 'axios';
import type { Person } from './people.js';
import { Processes } from './processes.js';
import { API_KEY, LIST_ID, NO_QUOTA, startSandbox } from './world.js';

const CONTACTS_PER_BODY = 250;
const IN_FLIGHT = 4;

/**
 * What the wire and the sandbox alone take: the same contacts, prepared beforehand, sent by nothing but axios, 4 requests
 * in flight on kept connections, to a fresh sandbox.
 * @returns seconds.
 */
export async function bareExportSeconds(people: Iterable<Person>): Promise<number> {
  await using processes = new Processes();
  const { url } = await startSandbox(processes, NO_QUOTA);
  const bodies = bodiesOf(people);
  const client = axios.create({
    adapter: 'http',
    proxy: false,
    httpAgent: new Agent({ keepAlive: true }),
    headers: { 'api-token': API_KEY, 'content-type': 'application/json' },
  });
  const startedAt = performance.now();
  const sendNext = async () => {
    for (let body = bodies.pop(); body !== undefined; body = bodies.pop()) {
      await client.post(`${url}/api/3/import/bulk_import`, body);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, sendNext));
  return (performance.now() - startedAt) / 1_000;
}

/**
 * What the wire alone takes: the same bytes, sent to a server that throws them away.
 * @returns seconds.
 */
export async function bareImportSeconds(csv: Readable): Promise<number> {
  await using processes = new Processes();
  const { url } = await processes.start('discarder', { script: 'scripts/bench/discarder.js' });
  const startedAt = performance.now();
  const put = request(url, { method: 'PUT' });
  const answered = once(put, 'response');
  await pipeline(csv, put);
  await answered;
  put.destroy();
  return (performance.now() - startedAt) / 1_000;
}

function bodiesOf(people: Iterable<Person>): Buffer[] {
  const bodies: Buffer[] = [];
  let contacts: object[] = [];
  const close = () => {
    if (contacts.length > 0) bodies.push(Buffer.from(JSON.stringify({ contacts })));
    contacts = [];
  };
  for (const { email, firstName, lastName, phone } of people) {
    const subscribe = [{ listid: Number(LIST_ID) }];
    contacts.push({ email, first_name: firstName, last_name: lastName, phone, subscribe });
    if (contacts.length === CONTACTS_PER_BODY) close();
  }
  close();
  return bodies;
}
