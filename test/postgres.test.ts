import pg from 'pg';
import { createPostgresDatabase } from './helpers/postgres.js';

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(statement);
    return rows.map((row) => Object.values(row)[0]);
  } finally {
    await client.end();
  }
}

describe('a Postgres for a test', () => {
  it('keeps what was committed when its processes are killed', async () => {
    await using database = await createPostgresDatabase();
    expect(await query(database.url, 'SHOW synchronous_commit')).toEqual(['on']);
  });

  it('sorts text as people do, so that a missing COLLATE "C" shows', async () => {
    await using database = await createPostgresDatabase();
    const words = "SELECT word FROM (VALUES ('b'), ('A'), ('a'), ('B')) AS words (word) ORDER BY word";
    expect(await query(database.url, words)).toEqual(['a', 'A', 'b', 'B']);
    expect(await query(database.url, `${words} COLLATE "C"`)).toEqual(['A', 'B', 'a', 'b']);
  });

  it('is nobody else’s, however many are made at once', async () => {
    const databases = await Promise.all(Array.from({ length: 5 }, createPostgresDatabase));
    for (const [index, { url }] of databases.entries())
      await query(url, `CREATE TABLE mine AS SELECT ${index} AS number`);
    const numbers = await Promise.all(databases.map(({ url }) => query(url, 'SELECT number FROM mine')));
    expect(numbers).toEqual([[0], [1], [2], [3], [4]]);
    await Promise.all(databases.map(({ drop }) => drop()));
  });

  it('is gone after its test, also while somebody is connected', async () => {
    const database = await createPostgresDatabase();
    const client = new pg.Client(database.url);
    client.on('error', () => undefined);
    await client.connect();
    await database.drop();
    await expect(query(database.url, 'SELECT 1')).rejects.toMatchObject({ code: '3D000' });
  });
});
