import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { Failure, messageOf } from '../client/failure.js';
import type { DatabaseChoice } from './choice.js';

const KEEPER = fileURLToPath(new URL('keeper.js', import.meta.url));

/** An empty database for one server. */
export interface FreshDatabase extends AsyncDisposable {
  /** As DATABASE_URL wants it. */
  readonly url: string;
}

/** Makes databases of one kind. Closed, nothing of them is left behind. */
export interface Databases extends AsyncDisposable {
  readonly kind: 'sqlite' | 'postgres';
  /** With its version, for reports. */
  readonly product: string;
  /** @param folder for a file, which goes with the folder. */
  readonly create: (folder: string) => Promise<FreshDatabase>;
  /** Lets a Postgres that was started here crash, and starts it again. */
  readonly crash?: () => Promise<void>;
}

/**
 * @param keeperFile the compiled keeper.ts, for who is not compiled.
 * @throws {Failure} if there is no such Postgres, or none can be started.
 */
export async function openDatabases(choice: DatabaseChoice, keeperFile = KEEPER): Promise<Databases> {
  if (choice === 'sqlite') return SQLITE;
  if (choice !== 'postgres') return onPostgres(choice.url, () => Promise.resolve());
  const keeper = await startKeeper(keeperFile);
  return { ...(await onPostgres(keeper.url, keeper.stop)), crash: keeper.crash };
}

const SQLITE: Databases = {
  kind: 'sqlite',
  product: 'SQLite',
  create: (folder) =>
    Promise.resolve({
      url: `sqlite:${join(folder, 'sluice.db')}`,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

async function onPostgres(serverUrl: string, close: () => Promise<void>): Promise<Databases> {
  try {
    const [{ server_version: version = '' } = {}] = await ask(serverUrl, 'SHOW server_version');
    return {
      kind: 'postgres',
      product: `Postgres ${version}`,
      create: async () => {
        const name = `sluice_${randomBytes(6).toString('hex')}`;
        await ask(serverUrl, `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`);
        const url = new URL(serverUrl);
        url.pathname = `/${name}`;
        const drop = async () => {
          await ask(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`);
        };
        return { url: url.href, [Symbol.asyncDispose]: drop };
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error: unknown) {
    await close();
    throw error;
  }
}

/** One statement, on a connection of its own. */
async function ask(url: string, sql: string): Promise<Record<string, string>[]> {
  const client = new pg.Client(url);
  try {
    await client.connect();
    const { rows } = await client.query<Record<string, string>>(sql);
    return rows;
  } catch (error: unknown) {
    throw new Failure(`Postgres at ${new URL(url).host} did not do "${sql}": ${messageOf(error)}`);
  } finally {
    await client.end();
  }
}

async function startKeeper(file: string): Promise<{
  url: string;
  stop: () => Promise<void>;
  crash: () => Promise<void>;
}> {
  // In a group of its own it does not hear Ctrl-C: the database goes last, and it goes when its standard input ends.
  const keeper = spawn(process.execPath, [file], { detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
  const stop = async () => {
    if (keeper.exitCode !== null || keeper.signalCode !== null) return;
    const gone = once(keeper, 'exit');
    keeper.stdin.end();
    await gone;
  };
  const lines = createInterface(keeper.stdout);
  const crash = async () => {
    const restarted = once(lines, 'line');
    keeper.stdin.write('\n');
    await restarted;
  };
  const { url, error } = await firstLine(keeper, lines);
  if (url !== undefined) return { url, stop, crash };
  await stop();
  throw new Failure(`Postgres did not start.\n${error ?? ''}`);
}

async function firstLine(
  keeper: ChildProcess,
  lines: Interface,
): Promise<{
  readonly url?: string;
  readonly error?: string;
}> {
  const line = once(lines, 'line') as Promise<[string]>;
  const end = once(keeper, 'exit').then(() => undefined);
  const [text] = (await Promise.race([line, end])) ?? [JSON.stringify({ error: 'Its keeper ended.' })];
  return JSON.parse(text) as { url?: string; error?: string };
}
