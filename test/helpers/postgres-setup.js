import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { URL, fileURLToPath } from 'node:url';

const KEEPER = fileURLToPath(new URL('postgres-keeper.js', import.meta.url));

let keeper;

/** For jest, once before all tests: a keeper who starts Postgres for the first test that asks (postgres.ts asks). */
export default async function start() {
  // In a group of its own, Ctrl-C reaches jest alone; the keeper then tidies up because its standard input ends.
  keeper = spawn(process.execPath, [KEEPER], { detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
  const [port] = await once(createInterface(keeper.stdout), 'line');
  process.env.SLUICE_TEST_POSTGRES_KEEPER = port;
  for (const handle of [keeper, keeper.stdin, keeper.stdout]) handle.unref();
}

/** When all tests have ended: waits until Postgres and its data are gone. */
export async function stop() {
  keeper.ref();
  const gone = once(keeper, 'exit');
  keeper.stdin.end();
  await gone;
}
