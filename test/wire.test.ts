import pg from 'pg';
import { createLogger } from '../src/logger.js';
import { openPostgresWire } from '../src/postgres-wire.js';
import { createPostgresDatabase } from './helpers/postgres.js';

const logger = createLogger('silent');

async function pair(url: string) {
  const stack = new AsyncDisposableStack();
  const open = async () => stack.adopt(await openPostgresWire(url, { logger }), (wire) => wire.close());
  return { one: await open(), other: await open(), [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function run(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Resolves when the wire has heard so many things of the topic. */
function hearing(
  wire: Awaited<ReturnType<typeof pair>>['one'],
  topic: string,
  count: number,
): Promise<string[]> {
  const heard: string[] = [];
  return new Promise((resolve) => {
    wire.hear(topic, (about) => {
      heard.push(about);
      if (heard.length === count) resolve(heard);
    });
  });
}

describe('the wire between processes', () => {
  it('carries what is told to the others, by topic, and tells nobody what they said themselves', async () => {
    await using database = await createPostgresDatabase();
    await using wires = await pair(database.url);
    const own: string[] = [];
    wires.one.hear('run', (about) => own.push(about));
    const heard = hearing(wires.other, 'run', 2);
    wires.one.tell('user', 'x');
    wires.one.tell('run', 'a');
    wires.one.tell('run', 'b');
    expect(await heard).toEqual(['a', 'b']);
    const answered = hearing(wires.one, 'user', 1);
    wires.other.tell('user', 'y');
    expect(await answered).toEqual(['y']);
    expect(own).toEqual([]);
  });

  it('tells once what is told a thousand times in a moment, and cuts what is more than Postgres takes at once', async () => {
    await using database = await createPostgresDatabase();
    await using wires = await pair(database.url);
    const names = Array.from({ length: 1_000 }, (_, n) => `run number ${n} with a long name`);
    const heard = hearing(wires.other, 'run', names.length);
    for (let time = 0; time < 5; time += 1) for (const name of names) wires.one.tell('run', name);
    expect(await heard).toEqual(names);
  });

  it('passes over what is none of ours', async () => {
    await using database = await createPostgresDatabase();
    await using wires = await pair(database.url);
    const heard = hearing(wires.other, 'run', 1);
    for (const text of ['', 'x', '{}', '[1]']) await run(database.url, `NOTIFY sluice, '${text}'`);
    wires.one.tell('run', 'a');
    expect(await heard).toEqual(['a']);
  });

  it('keeps what is told while it is cut, and tells it when it is up again', async () => {
    await using database = await createPostgresDatabase();
    await using wires = await pair(database.url);
    const cut = `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'sluice wire'`;
    expect(await run(database.url, cut)).toHaveLength(2);
    const heard = hearing(wires.other, 'run', 1);
    // Whoever listens is back first, or did not hear it: that is what looking is for.
    while (!wires.other.isUp()) await new Promise((resolve) => setImmediate(resolve));
    wires.one.tell('run', 'a');
    expect(await heard).toEqual(['a']);
  });
});
