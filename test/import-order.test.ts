import { readdirSync } from 'node:fs';
import { ImportDoor } from './helpers/import-door.js';

/** More than are sorted in memory at once. */
const IDS = 20_000;

describe('an import of ids in an order that has nothing to do with their own', () => {
  let door: ImportDoor;
  beforeEach(async () => {
    door = await ImportDoor.open();
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  /** Jumps about: the factor and the number of ids have no common divisor. */
  const idOf = (place: number) => `id-${(place * 7_919) % IDS}`;
  const rowsOf = (round: number) =>
    Array.from(
      { length: IDS },
      (_, place) => `${idOf(place + round * 17)},name of round ${round},${round}\n`,
    );
  const filesInFolder = () => readdirSync(door.services.scratchDirectory);

  it('stores each row, and of two with one id the later counts', async () => {
    const before = filesInFolder();
    const body = ['id,name,round\n', ...rowsOf(1), 'id-5,too,many,fields\n', ...rowsOf(2)].join('');
    const { report } = await door.put(body, { query: 'id=id&segment=All' });
    expect(report).toEqual({
      ...{ received: 2 * IDS + 1, stored: 2 * IDS, unchanged: 0, rejected: 1, removed: 0 },
      errors: [{ line: IDS + 2, message: 'it has 4 fields, but the header row names 3' }],
      warnings: [],
    });
    const profiles = Object.values(await door.profiles());
    expect(profiles).toHaveLength(IDS);
    expect(new Set(profiles.map((profile) => JSON.stringify(profile)))).toEqual(
      new Set(['{"name":"name of round 2","round":"2"}']),
    );
    expect(await door.members('All')).toHaveLength(IDS);
    expect(await door.attributes()).toMatchObject({ name: [IDS, 'name of round 1'], round: [IDS, '1'] });
    expect(filesInFolder()).toEqual(before);
  });

  it('knows again what is stored already', async () => {
    const body = ['id,name,round\n', ...rowsOf(1)].join('');
    await door.put(body);
    const { report } = await door.put(body);
    expect(report).toMatchObject({ received: IDS, stored: 0, unchanged: IDS });
  });

  it('keeps the complete lines when the body breaks off', async () => {
    const body = ['id,name,round\n', ...rowsOf(1), '"never closed'].join('');
    const { status, failure } = await door.put(body);
    expect(status).toBe(400);
    expect(failure.extensions.report).toMatchObject({ received: IDS, stored: IDS });
    expect(Object.keys(await door.profiles())).toHaveLength(IDS);
  });
});
