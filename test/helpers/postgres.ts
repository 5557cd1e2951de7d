import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import { openDatabase } from '../../src/open-database.js';
import { startBoss } from '../../src/jobs/boss.js';
import { createLogger } from '../../src/logger.js';
import { dataModel } from '../../src/server/data-model.js';
import { noteStart, noteStop } from './leaks.js';
import { NOTE_PRISTINE } from './pristine.js';

/** What the keeper of this test run tells (postgres-keeper.js). */
interface TestServer {
  /** A database of the server in which nothing is stored, as a superuser. */
  readonly url: string;
  /** What the names of this run's databases begin with. */
  readonly prefix: string;
}

/** A database of its own, migrated and empty. */
export interface PostgresDatabase extends AsyncDisposable {
  readonly url: string;
  /** Ends its connections, and removes it. */
  readonly drop: () => Promise<void>;
}

/**
 * Makes a database by copying the template of this test run. The first call of the run starts the server and migrates
 * the template, which takes about a second; each further one
 * takes a few hundredths of one.
 * @example await using database = await createPostgresDatabase();
 */
export async function createPostgresDatabase(): Promise<PostgresDatabase> {
  const server = await askKeeper();
  const name = `${server.prefix}_${randomUUID().replaceAll('-', '')}`;
  await withClient(server.url, async (client) => {
    const template = await madeTemplate(client, server);
    // FILE_COPY makes the whole server write out what it holds, twice: beside other tests that takes ten times as long.
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY WAL_LOG`);
  });
  const drop = async () => {
    noteStop(database);
    await withClient(server.url, (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  };
  const database: PostgresDatabase = { url: urlOf(server, name), drop, [Symbol.asyncDispose]: drop };
  noteStart(database, 'a Postgres database');
  return database;
}

/** Brings a fresh database up to date, as the first start of a server does, and notes how it is then. */
async function migrate(url: string): Promise<void> {
  const database = await openDatabase({ kind: 'postgres', url }, dataModel);
  await database.close();
  const boss = await startBoss(url, createLogger('silent'));
  await boss.stop({ graceful: false });
  await withClient(url, (client) => client.query(NOTE_PRISTINE));
}

/** Made by whoever comes first. Its text is sorted as people sort, so that a missing COLLATE "C" shows. */
async function madeTemplate(client: pg.Client, server: TestServer): Promise<string> {
  const template = `${server.prefix}_template`;
  // Other workers of jest wait here. The lock ends with the client's connection.
  await client.query('SELECT pg_advisory_lock(hashtext($1))', [template]);
  const done = await client.query('SELECT FROM pg_database WHERE datname = $1 AND NOT datallowconn', [
    template,
  ]);
  if (done.rowCount === 0) {
    await client.query(`DROP DATABASE IF EXISTS ${template} WITH (FORCE)`);
    await client.query(
      `CREATE DATABASE ${template} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'`,
    );
    await migrate(urlOf(server, template));
    // Nobody may be connected to what is copied.
    await client.query(`ALTER DATABASE ${template} ALLOW_CONNECTIONS false`);
  }
  await client.query('SELECT pg_advisory_unlock(hashtext($1))', [template]);
  return template;
}

async function askKeeper(): Promise<TestServer> {
  const answer = await text(connect(Number(process.env.SLUICE_TEST_POSTGRES_KEEPER), '127.0.0.1'));
  const { error, ...server } = JSON.parse(answer) as TestServer & { readonly error?: string };
  if (error !== undefined) throw new Error(error);
  return server;
}

function urlOf({ url }: TestServer, database: string): string {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.href;
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
