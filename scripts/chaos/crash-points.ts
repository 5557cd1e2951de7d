import { appendFileSync } from 'node:fs';
import http from 'node:http';
import pg from 'pg';
import sqlite3 from 'sqlite3';
import { pointNamed, type Trigger } from './points.js';
import { RunsUnderWay, StatementWatcher, type Finding, type Statement } from './statements.js';

/*
 * Runs inside a server before the server does (`node --import`), and ends it with SIGKILL, or stops it with SIGSTOP, when it
 * has come by a point for the nth time. The signal, the point, nth and the file for the record stand in the query of this module's address; the server knows
 * nothing of it. A record outlives the kill, for it is written before.
 */

const given = new URL(import.meta.url).searchParams;
const record = given.get('record') ?? '';
const name = given.get('point');
const nth = Number(given.get('nth'));
const signal = given.get('signal') === 'SIGSTOP' ? 'SIGSTOP' : 'SIGKILL';
const trigger: Trigger | undefined = name === null ? undefined : pointNamed(name).trigger;
let met = 0;

watchSqlite();
watchPostgres();
watchCalls();

/** Does not return from the nth time, or not before somebody lets the process go on. */
function meet(): void {
  met += 1;
  if (met !== nth) return;
  appendFileSync(record, `HIT ${String(name)}\n`);
  process.kill(process.pid, signal);
}

function meetStatement({ isCommit, topics }: Finding, when: 'before' | 'after'): void {
  if (trigger?.at === 'COMMIT' && isCommit && trigger.when === when && topics.has(trigger.topic)) meet();
  if (trigger?.at === 'STATEMENT' && !isCommit && when === 'before' && topics.has(trigger.topic)) meet();
}

/** Afterwards: from here on a server that starts again knows these receipts. */
function noteCommit(finding: Finding): void {
  for (const receipt of finding.receipts) appendFileSync(record, `RECEIPT ${receipt}\n`);
  meetStatement(finding, 'after');
}

type Method = (this: object, sql: unknown, ...rest: unknown[]) => unknown;
type Methods<Name extends string> = Record<Name, Method>;

/**
 * Every statement goes through one of these, with its parameters, if any, as an array and a callback at the end. One
 * connection of several writes.
 */
function watchSqlite(): void {
  const watcher = new StatementWatcher();
  const methods = sqlite3.Database.prototype as unknown as Methods<'run' | 'all' | 'exec'>;
  for (const method of ['run', 'all', 'exec'] as const) {
    const original = methods[method];
    methods[method] = function (sql, ...rest) {
      const finding = watcher.look(statementOf(sql, rest));
      meetStatement(finding, 'before');
      return original.call(this, sql, ...(finding.isCommit ? beforeCallback(rest, finding) : rest));
    };
  }
}

/** Every statement goes through this one, with a callback at the end or without. Each connection may write. */
function watchPostgres(): void {
  const underWay = new RunsUnderWay();
  const watchers = new WeakMap<object, StatementWatcher>();
  const methods = pg.Client.prototype as unknown as Methods<'query'>;
  const original = methods.query;
  methods.query = function (sql, ...rest) {
    const watcher = watchers.get(this) ?? new StatementWatcher(underWay);
    watchers.set(this, watcher);
    const finding = watcher.look(statementOf(sql, rest));
    meetStatement(finding, 'before');
    if (!finding.isCommit) return original.call(this, sql, ...rest);
    const answer = original.call(this, sql, ...beforeCallback(rest, finding));
    if (!(answer instanceof Promise)) return answer;
    return answer.then((result: unknown) => {
      noteCommit(finding);
      return result;
    });
  };
}

function statementOf(sql: unknown, rest: readonly unknown[]): Statement {
  const parameters = Array.isArray(rest[0]) ? (rest[0] as unknown[]) : [];
  // A cursor or the like is none of the engine's.
  return { sql: typeof sql === 'string' ? sql : '', parameters };
}

/** The arguments, so that a commit is noted before its callback is called. */
function beforeCallback(rest: readonly unknown[], finding: Finding): unknown[] {
  const done = rest.at(-1);
  if (typeof done !== 'function') return [...rest];
  const afterwards = function (this: unknown, ...results: unknown[]) {
    noteCommit(finding);
    Reflect.apply(done, this, results);
  };
  return [...rest.slice(0, -1), afterwards];
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
