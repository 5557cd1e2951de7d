import 'reflect-metadata';
import { once } from 'node:events';
import process from 'node:process';
import { systemClock } from '../../src/clock.js';
import { createBossQueue } from '../../src/jobs/boss-queue.js';
import { startBoss } from '../../src/jobs/boss.js';
import { NO_WIRE } from '../../src/wire.js';
import { createLogger } from '../../src/logger.js';

/**
 * A process that works the queue of a Postgres database, to be killed or frozen by a test. It says on standard output what
 * it works and puts down, and works each account until it is told to stop.
 */
const [url = ''] = process.argv.slice(2);
const logger = createLogger('silent');
const say = (line: string) => process.stdout.write(`${line}\n`);

// A test that fails may leave it behind.
process.stdin.resume().once('end', () => process.exit());

const boss = await startBoss(url, logger);
const queue = await createBossQueue('accounts', { boss, wire: NO_WIRE, clock: systemClock, logger });
queue.start(async (account, _bell, signal) => {
  say(`works ${account}`);
  if (!signal.aborted) await once(signal, 'abort');
  say(`puts down ${account}`);
}, []);
say('ready');
