import pg from 'pg';
import sqlite3 from 'sqlite3';
import type { Violations } from './violations.js';

/** Questions to the database of a server that has stopped; each is to find nothing. */
const QUESTIONS: Readonly<Record<string, string>> = {
  'no run is stuck': `SELECT "id", "state" FROM "export_runs" WHERE "finishedAt" IS NULL`,
  'no batch is left open': `SELECT "id", "state" FROM "batches" WHERE "state" IN ('PLANNED', 'SENDING', 'ACCEPTED')`,
  'nobody is unconfirmed before the tries of the batch are used up': `SELECT "batches"."id", "unprovenTries"
    FROM "batches" JOIN "export_runs" AS "run" ON "run"."id" = "batches"."runId"
    WHERE "batches"."unconfirmed" > 0 AND "unprovenTries" < 3 AND "run"."state" <> 'CANCELED'`,
  'a batch is sent three times at most without proof': `SELECT "id", "unprovenTries" FROM "batches" WHERE "unprovenTries" > 3`,
};

const LEFT_BEHIND = `SELECT DISTINCT "generation" FROM "segment_members"
  WHERE "generation" NOT IN (SELECT "generation" FROM "segments" WHERE "generation" IS NOT NULL)`;

/** What an import was filling when its process died, another may be filling: an hour later it is removed. */
const QUESTIONS_TO_POSTGRES: Readonly<Record<string, string>> = {
  'no members are left behind': `${LEFT_BEHIND}
    AND "generation" NOT IN (SELECT "id" FROM "segment_generations" WHERE "segmentId" IS NULL)`,
};
/** Postgres keeps the last two by itself. */
const QUESTIONS_TO_A_FILE: Readonly<Record<string, string>> = {
  'no members are left behind': LEFT_BEHIND,
  'tables refer to what is there': 'PRAGMA foreign_key_check',
  'the database is sound': `SELECT * FROM pragma_integrity_check WHERE "integrity_check" <> 'ok'`,
};

interface Connection {
  readonly ask: (sql: string) => Promise<object[]>;
  readonly close: () => Promise<void>;
}

/**
 * The requests that the batches account for: each try without proof, and the one that was accepted at last. A process that dies
 * between the commit of the intent and the request uses up a try without a request, so there may be more of them.
 */
const TRIES = `SELECT SUM("unprovenTries" + CASE WHEN "acceptedAt" IS NULL THEN 0 ELSE 1 END) AS "tries" FROM "batches"`;

/**
 * Whether the database is sound and nothing in it is left over.
 * @param url as DATABASE_URL says it.
 * @param requests how many batches the destination accepted, or possibly accepted as far as its answers tell.
 */
export async function auditDatabase(url: string, requests: number, violations: Violations): Promise<void> {
  const file = /^sqlite:(.+)$/.exec(url)?.[1];
  const { ask, close } = file === undefined ? await connect(url) : await open(file);
  const questions = { ...QUESTIONS, ...(file === undefined ? QUESTIONS_TO_POSTGRES : QUESTIONS_TO_A_FILE) };
  for (const [rule, question] of Object.entries(questions)) {
    for (const row of await ask(question)) violations.add(rule, JSON.stringify(row));
  }
  const [{ tries }] = (await ask(TRIES)) as [{ tries: number | string | null }];
  if (requests > Number(tries ?? 0)) {
    violations.add('every request without proof is counted', `${requests} requests, ${tries} tries stored`);
  }
  await close();
}

async function connect(url: string): Promise<Connection> {
  const client = new pg.Client(url);
  await client.connect();
  return {
    ask: async (sql) => (await client.query<object>(sql)).rows,
    close: () => client.end(),
  };
}

async function open(file: string): Promise<Connection> {
  const database = await new Promise<sqlite3.Database>((resolve, reject) => {
    const opened = new sqlite3.Database(file, sqlite3.OPEN_READONLY, (error) => {
      if (error === null) resolve(opened);
      else reject(error);
    });
  });
  return {
    ask: (sql) =>
      new Promise((resolve, reject) => {
        database.all<object>(sql, (error, rows) => {
          if (error === null) resolve(rows);
          else reject(error);
        });
      }),
    close: () =>
      new Promise((resolve) => {
        database.close(() => resolve());
      }),
  };
}
