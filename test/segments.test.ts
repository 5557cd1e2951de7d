import { SegmentState } from '../src/entities/segment.js';
import { assertAttributesExist, listAttributes } from '../src/profiles/attributes.js';
import {
  createSegment,
  getSegment,
  listSegments,
  removeSegment,
  setSegmentState,
  updateSegment,
} from '../src/profiles/segments.js';
import { ACTOR, ImportDoor } from './helpers/import-door.js';

describe('segments', () => {
  let door: ImportDoor;
  beforeEach(async () => {
    door = await ImportDoor.open();
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  it('are made without members, by a trimmed name', async () => {
    const made = await createSegment(door.services, ACTOR, { name: ' Buyers ' });
    expect(made).toMatchObject({
      name: 'Buyers',
      kind: 'STATIC',
      state: 'ACTIVE',
      memberCount: 0,
      evaluatedAt: null,
    });
    expect(await getSegment(door.services, made.id)).toEqual(made);
  });

  it('are filled by an import of their name', async () => {
    const { id } = await createSegment(door.services, ACTOR, { name: 'Buyers' });
    await door.put('id,a\n1,x\n', { query: 'id=id&segment=Buyers' });
    expect(await getSegment(door.services, id)).toMatchObject({
      memberCount: 1,
      evaluatedAt: expect.any(Date) as unknown,
    });
  });

  it.each([
    ['empty', ' '],
    ['too long', 'x'.repeat(201)],
    ['with a control character', 'a\nb'],
  ])('are not given a name that is %s', async (_what, name) => {
    await expect(createSegment(door.services, ACTOR, { name })).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'name',
    });
  });

  it('are not given a name that is taken', async () => {
    await createSegment(door.services, ACTOR, { name: 'A' });
    const { id } = await createSegment(door.services, ACTOR, { name: 'B' });
    await expect(createSegment(door.services, ACTOR, { name: 'A' })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    await expect(updateSegment(door.services, ACTOR, id, { name: 'A' })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
  });

  it('can be renamed and switched off, and a rename to nothing changes nothing', async () => {
    const { id } = await createSegment(door.services, ACTOR, { name: 'A' });
    expect(await updateSegment(door.services, ACTOR, id, { name: 'B' })).toMatchObject({ name: 'B' });
    expect(await updateSegment(door.services, ACTOR, id, {})).toMatchObject({ name: 'B' });
    expect(await setSegmentState(door.services, ACTOR, id, SegmentState.INACTIVE)).toMatchObject({
      state: 'INACTIVE',
    });
    expect(await getSegment(door.services, id)).toMatchObject({ name: 'B', state: 'INACTIVE' });
  });

  it('are removed with their members, but not their profiles', async () => {
    await door.put('id,a\n1,x\n', { query: 'id=id&segment=all' });
    const [segment] = (await listSegments(door.services, {})).nodes;
    expect(await removeSegment(door.services, ACTOR, segment?.id ?? '')).toBe(true);
    expect(await door.generations()).toEqual({ rows: [], members: [] });
    expect(Object.keys(await door.profiles())).toEqual(['1']);
  });

  it('are not removed while an export uses them', async () => {
    const { id } = await createSegment(door.services, ACTOR, { name: 'A' });
    await door.database.transact(({ manager }) =>
      manager.query(`INSERT INTO "export_segments" ("exportId", "segmentId") VALUES ('e', $1)`, [id]),
    );
    await expect(removeSegment(door.services, ACTOR, id)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await getSegment(door.services, id)).toMatchObject({ name: 'A' });
  });

  it('that do not exist are not found, whatever is asked of them', async () => {
    const notFound = { code: 'NOT_FOUND', message: 'There is no such segment.' };
    await expect(getSegment(door.services, 'x')).rejects.toMatchObject(notFound);
    await expect(updateSegment(door.services, ACTOR, 'x', { name: 'B' })).rejects.toMatchObject(notFound);
    await expect(setSegmentState(door.services, ACTOR, 'x', SegmentState.ACTIVE)).rejects.toMatchObject(
      notFound,
    );
    await expect(removeSegment(door.services, ACTOR, 'x')).rejects.toMatchObject(notFound);
  });

  it('are listed the oldest first, page by page', async () => {
    for (const name of ['C', 'A', 'B']) await createSegment(door.services, ACTOR, { name });
    const first = await listSegments(door.services, { first: 2 });
    const rest = await listSegments(door.services, { first: 2, after: first.pageInfo.endCursor });
    expect([...first.nodes, ...rest.nodes].map((segment) => segment.name)).toEqual(['C', 'A', 'B']);
  });
});

describe('attributes', () => {
  let door: ImportDoor;
  beforeEach(async () => {
    door = await ImportDoor.open();
    await door.put('id,email,first_name\n1,a@x.com,\n');
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  it('are listed by name, with how many values there are and an example', async () => {
    expect(await listAttributes(door.services)).toEqual([
      { name: 'email', filled: 1, sample: 'a@x.com' },
      { name: 'first_name', filled: 0, sample: null },
    ]);
  });

  it.each([
    ['e-mail', 'Did you mean "email"?'],
    ['firstname', 'Did you mean "first_name"?'],
    ['EMAIL', 'Did you mean "email"?'],
    ['zip', 'Import profiles with this attribute first'],
    ['customer_no', 'the column that holds the ids, import the file again with idAttribute=true'],
  ])('that do not exist (%s) are refused with what may have been meant', async (name, remedy) => {
    await expect(
      assertAttributesExist(door.services, ['email', name], 'mapping.email'),
    ).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'mapping.email',
      message: `No profile has an attribute named "${name}".`,
      remedy: expect.stringContaining(remedy) as unknown,
    });
  });

  it('that exist are accepted, also without values', async () => {
    await expect(
      assertAttributesExist(door.services, ['first_name', 'email'], 'mapping'),
    ).resolves.toBeUndefined();
  });
});
