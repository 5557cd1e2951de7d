import { connectIn } from './databases.js';

/** The tries without proof that are stored of each batch, in the order of the batches. */
export async function unprovenTriesIn(folder: string): Promise<number[]> {
  await using source = await connectIn(folder);
  const rows = await source.query<{ unprovenTries: number }[]>(
    'SELECT "unprovenTries" FROM "batches" ORDER BY "id"',
  );
  return rows.map(({ unprovenTries }) => unprovenTries);
}
