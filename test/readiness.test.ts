import { once } from 'node:events';
import { connect } from 'node:net';
import { createLogger } from '../src/logger.js';
import { createReadiness } from '../src/server/readiness.js';
import { openBeside } from './helpers/beside.js';
import { dropTable } from './helpers/damage.js';
import { createManualClock } from './helpers/manual-clock.js';
import { startSluice, type Sluice } from './helpers/sluice.js';

async function readyz(sluice: Sluice) {
  const response = await fetch(`${sluice.url}/readyz`);
  const body = await response.text();
  return { status: response.status, text: body, body: JSON.parse(body) as unknown };
}

describe('GET /readyz', () => {
  it('names every check', async () => {
    await using sluice = await startSluice();
    expect(await readyz(sluice)).toMatchObject({
      status: 200,
      body: {
        status: 'ready',
        checks: { running: { ok: true }, database: { ok: true }, migrations: { ok: true } },
      },
    });
  });

  it('says that the database cannot be read, and why in the log alone, once', async () => {
    await using sluice = await startSluice();
    await dropTable(sluice, 'users');
    for (let n = 0; n < 3; n += 1) {
      const answer = await readyz(sluice);
      expect(answer).toMatchObject({
        status: 503,
        body: {
          status: 'not ready',
          checks: {
            running: { ok: true },
            database: { ok: false, problem: 'The database cannot be read.' },
            migrations: { ok: true },
          },
        },
      });
      expect(answer.text).not.toMatch(/sqlite|no such table|does not exist|users/i);
    }
    expect(sluice.log.filter(({ msg }) => msg === 'not ready')).toMatchObject([
      { level: 40, check: 'database', why: expect.stringMatching(/no such table|does not exist/) as string },
    ]);
    expect((await fetch(`${sluice.url}/healthz`)).status).toBe(200);
  });

  it('says that the tables are too old, until they are not', async () => {
    await using sluice = await startSluice();
    await using database = await openBeside(sluice);
    const rename = (from: string, to: string) =>
      database.transact(({ manager }) =>
        manager.query(
          `UPDATE "migrations" SET "name" = '${to}' WHERE "name" = (SELECT MIN("name") FROM "migrations" WHERE "name" LIKE '${from}%')`,
        ),
      );
    await rename('FirstTables', 'Elsewhere1795469000000');
    expect(await readyz(sluice)).toMatchObject({
      status: 503,
      body: { checks: { database: { ok: true }, migrations: { ok: false } } },
    });
    await rename('Elsewhere', 'FirstTables1795469000000');
    expect(await readyz(sluice)).toMatchObject({ status: 200, body: { status: 'ready' } });
    expect(sluice.log).toContainEqual(expect.objectContaining({ msg: 'ready again', check: 'migrations' }));
  });

  it('is not ready from the moment at which the server is told to stop', async () => {
    await using sluice = await startSluice();
    const { hostname, port } = new URL(sluice.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    // A second request of a connection is let in while the server waits for the first, whose body is not there yet.
    const begun = 'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n';
    socket.write(begun);
    await once(socket, 'data');
    const stopped = sluice.stop();
    socket.write('{}GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n');
    let answer = '';
    while (!answer.includes('"migrations"')) answer += String((await once(socket, 'data'))[0]);
    socket.destroy();
    await stopped;
    expect(answer).toContain('HTTP/1.1 503');
    expect(answer).toContain('"running":{"ok":false,"problem":"The process is stopping."}');
  });

  it('does not wait for ever for a check that hangs', async () => {
    const clock = createManualClock();
    const logger = createLogger('silent');
    const hanging = {
      name: 'queue',
      problem: 'It hangs.',
      check: () => new Promise<boolean>(() => undefined),
    };
    const broken = {
      name: 'line',
      problem: 'It broke.',
      check: () => Promise.reject(new Error('password=secret')),
    };
    const looked = createReadiness([hanging, broken], { clock, logger })();
    await clock.pass(2_000);
    expect(await looked).toEqual({
      status: 'not ready',
      checks: { queue: { ok: false, problem: 'It hangs.' }, line: { ok: false, problem: 'It broke.' } },
    });
  });
});
