import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import pg from 'pg';
// As `npm run build` leaves it; `npm test` builds first.
import { loadEmbeddedPostgres } from '../../dist/scripts/databases/embedded-postgres.js';
import { freePort } from '../../dist/scripts/databases/free-port.js';

/**
 * Keeps the Postgres of one test run. It listens on a port, which it prints; whoever connects is answered one line of
 * JSON, `{ url, prefix }`: the server, and what the names of the run's databases begin with. The first to ask has it
 * started, so a run that needs none pays for none. It ends, and removes what the run made, when its standard input
 * does, which is also how the operating system tells it that jest was killed.
 */
const prefix = `sluice_test_${randomBytes(4).toString('hex')}`;

/**
 * Without fsync a crash of the machine would lose data, and no test crashes the machine; what survives the end of a process is as in
 * production, so synchronous_commit stays on.
 */
const SETTINGS = {
  fsync: 'off',
  full_page_writes: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_connections: '300',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  // embedded-postgres waits for a line of level LOG. Errors of statements are the tests' own business.
  log_min_messages: 'log',
  log_checkpoints: 'off',
};

async function startEmbedded() {
  const databaseDir = await mkdtemp(join(tmpdir(), 'sluice-postgres-'));
  const port = await freePort();
  const password = randomBytes(16).toString('hex');
  const log = [];
  const program = await loadEmbeddedPostgres();
  const server = new program.EmbeddedPostgres({
    databaseDir,
    port,
    password,
    // Postgres refuses to run as root: there it runs as the user postgres, made if missing.
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--no-sync'],
    postgresFlags: Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    onLog: (message) => log.push(message),
    onError: (error) => log.push(String(error)),
  });
  const stop = async () => {
    await server.stop();
    await rm(databaseDir, { recursive: true, force: true });
    await program[Symbol.asyncDispose]();
  };
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    await stop();
    throw new Error(`Postgres did not start.\n${log.join('')}`, { cause: error });
  }
  return { url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`, stop };
}

/** A server of the developer's own is left as it was. */
function useServer(url) {
  const stop = async () => {
    const client = new pg.Client(url);
    await client.connect();
    const { rows } = await client.query('SELECT datname FROM pg_database WHERE starts_with(datname, $1)', [
      prefix,
    ]);
    for (const { datname } of rows) await client.query(`DROP DATABASE "${datname}" WITH (FORCE)`);
    await client.end();
  };
  return Promise.resolve({ url, stop });
}

let started;

const door = createServer((socket) => {
  socket.on('error', () => socket.destroy());
  started ??= process.env.TEST_DATABASE_URL ? useServer(process.env.TEST_DATABASE_URL) : startEmbedded();
  started.then(
    ({ url }) => socket.end(JSON.stringify({ url, prefix })),
    (error) => socket.end(JSON.stringify({ error: `${error.message}\n${error.cause ?? ''}` })),
  );
}).listen(0, '127.0.0.1');

await once(door, 'listening');
process.stdout.write(`${door.address().port}\n`);

await once(process.stdin.resume(), 'end');
door.close();
const server = await started?.catch(() => undefined);
await server?.stop();
process.exit();
