import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { messageOf } from '../client/failure.js';
import { loadEmbeddedPostgres } from './embedded-postgres.js';
import { freePort } from './free-port.js';

/*
 * Keeps a Postgres for as long as its standard input is open, and then removes it with all its data; at each line that
 * comes in, it lets it crash and starts it again. It is a process of its own because the operating system closes that input however the one who wants it ends, and because embedded-postgres
 * ends its process by itself at Ctrl-C.
 */

/** As on a server that is to lose nothing (fsync and the like are on by default), of a size for a machine of some GB. */
const SETTINGS = {
  shared_buffers: '256MB',
  effective_cache_size: '1GB',
  maintenance_work_mem: '128MB',
  max_wal_size: '4GB',
  max_connections: '100',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  // embedded-postgres waits for a line of level LOG.
  log_min_messages: 'log',
};

const databaseDir = await mkdtemp(join(tmpdir(), 'sluice-postgres-'));
const port = await freePort();
const password = randomBytes(16).toString('hex');
const log: string[] = [];
const program = await loadEmbeddedPostgres();
const server = new program.EmbeddedPostgres({
  databaseDir,
  port,
  password,
  // Postgres refuses to run as root: there it runs as the user postgres, made if missing.
  createPostgresUser: process.getuid?.() === 0,
  initdbFlags: ['--encoding=UTF8'],
  postgresFlags: Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  onLog: (message) => log.push(message),
  onError: (error) => log.push(messageOf(error)),
});

// Whoever asked may end before Postgres has started.
const wishes = createInterface(process.stdin);
const unwanted = once(wishes, 'close');
try {
  await server.initialise();
  await server.start();
  tell({ url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres` });
  let crashing = Promise.resolve();
  wishes.on('line', () => {
    crashing = crashing.then(crash);
  });
  await unwanted;
  await crashing;
  await server.stop();
} catch {
  tell({ error: log.join('') });
}
await rm(databaseDir, { recursive: true, force: true });
await program[Symbol.asyncDispose]();
process.exit();

/** An immediate shutdown, as after the loss of power: nothing is put in order, and the start recovers from the log. */
async function crash(): Promise<void> {
  const [pid = ''] = (await readFile(join(databaseDir, 'postmaster.pid'), 'utf8')).split('\n');
  process.kill(Number(pid), 'SIGQUIT');
  // Waits for its end; what it sends besides comes too late to matter.
  await server.stop();
  await server.start();
  tell({ restarted: true });
}

/** One line of JSON: `{ url }` of a superuser, `{ restarted }`, or `{ error }`. */
function tell(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
