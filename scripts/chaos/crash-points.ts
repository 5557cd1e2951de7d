import { appendFileSync } from 'node:fs';
import http from 'node:http';
import sqlite3 from 'sqlite3';
import { pointNamed, type Trigger } from './points.js';
import { StatementWatcher, type Finding } from './statements.js';

/*
 * Runs inside a server before the server does (`node --import`), and ends it with SIGKILL when it has come by a point for
 * the nth time. The point, nth and the file for the record stand in the query of this module's address; the server knows
 * nothing of it. A record outlives the kill, for it is written before.
 */

const given = new URL(import.meta.url).searchParams;
const record = given.get('record') ?? '';
const name = given.get('point');
const nth = Number(given.get('nth'));
const trigger: Trigger | undefined = name === null ? undefined : pointNamed(name).trigger;
let met = 0;

watchStatements();
watchCalls();

/** Does not return from the nth time. */
function meet(): void {
  met += 1;
  if (met !== nth) return;
  appendFileSync(record, `HIT ${String(name)}\n`);
  process.kill(process.pid, 'SIGKILL');
}

function meetStatement({ isCommit, topics }: Finding, when: 'before' | 'after'): void {
  if (trigger?.at === 'COMMIT' && isCommit && trigger.when === when && topics.has(trigger.topic)) meet();
  if (trigger?.at === 'STATEMENT' && !isCommit && when === 'before' && topics.has(trigger.topic)) meet();
}

type Method = (this: unknown, sql: string, ...rest: unknown[]) => unknown;

/** Every statement goes through one of these, with its parameters, if any, as an array and a callback at the end. */
function watchStatements(): void {
  const watcher = new StatementWatcher();
  const methods = sqlite3.Database.prototype as unknown as Record<'run' | 'all' | 'exec', Method>;
  for (const method of ['run', 'all', 'exec'] as const) {
    const original = methods[method];
    methods[method] = function (sql, ...rest) {
      const parameters = Array.isArray(rest[0]) ? (rest[0] as unknown[]) : [];
      const finding = watcher.look({ sql, parameters });
      meetStatement(finding, 'before');
      const done = rest.at(-1);
      if (!finding.isCommit || typeof done !== 'function') return original.call(this, sql, ...rest);
      const afterwards = function (this: unknown, ...results: unknown[]) {
        // From here on a server that starts again knows these receipts.
        for (const receipt of finding.receipts) appendFileSync(record, `RECEIPT ${receipt}\n`);
        meetStatement(finding, 'after');
        Reflect.apply(done, this, results);
      };
      return original.call(this, sql, ...rest.slice(0, -1), afterwards);
    };
  }
}

const ROUTES = { importer: '/import/bulk_import', info: '/import/info' };

/** The way out to the destination is axios, which goes through `http.request`. */
function watchCalls(): void {
  if (trigger?.at !== 'CALL') return;
  const { route, when } = trigger;
  const original = http.request;
  const watched = (...args: Parameters<typeof http.request>) => {
    // axios gives the options as one object, always.
    const [{ path }] = args as unknown as [{ path: string }];
    const fits = path.includes(ROUTES[route]);
    if (fits && when === 'before') meet();
    const request = original(...args);
    if (fits && when === 'sent') request.prependListener('finish', meet);
    if (fits && when === 'answered') request.prependListener('response', meet);
    return request;
  };
  http.request = watched as typeof http.request;
}
