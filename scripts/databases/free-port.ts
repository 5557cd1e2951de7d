import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Linux gives out ports from 32,768 on, macOS from 49,152 on, to everybody who listens at any port or connects to somebody. A
 * port below is taken only by who asks for it.
 */
const FIRST_PORT = 20_000;
const PORTS = 10_000;

/**
 * A port at which nobody listens, for a program that cannot choose one by itself. It is still free when the program has
 * started, however long that takes.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + randomInt(PORTS);
    const probe = createServer().listen(port, '127.0.0.1');
    const isFree = await once(probe, 'listening').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
}
