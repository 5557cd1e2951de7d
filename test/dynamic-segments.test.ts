import { SegmentKind } from '../src/entities/segment.js';
import { changeSegment, evaluateSegment, makeSegment } from '../src/profiles/dynamic-segments.js';
import type { SegmentEvaluationServices } from '../src/profiles/evaluate-segment.js';
import { removeProfiles } from '../src/profiles/removal.js';
import { getSegment } from '../src/profiles/segments.js';
import { startEngine, runFully } from './helpers/engine.js';
import { createExportOf } from './helpers/flows.js';
import { ACTOR, ImportDoor } from './helpers/import-door.js';
import { openBeside } from './helpers/beside.js';
import { startSluice, type Sluice } from './helpers/sluice.js';

const PEOPLE = 'id,email,city\n1,a@example.com,Brno\n2,b@example.com,Praha\n3,c@example.com,Brno\n';
const FROM = (city: string) => ({ attribute: 'city', operator: 'equals', value: city });

interface SegmentAnswer {
  readonly id: string;
  readonly kind: string;
  readonly rule: object | null;
  readonly memberCount: number;
  readonly evaluatedAt: string | null;
  readonly history: {
    readonly nodes: readonly { memberCount: number; unparsedValues: number; at: string }[];
  };
}
const FIELDS = 'id kind rule memberCount evaluatedAt history { nodes { memberCount unparsedValues at } }';

async function create(sluice: Sluice, rule: object, name = 'By rule'): Promise<SegmentAnswer> {
  const { createSegment } = await sluice.query<{ createSegment: SegmentAnswer }>(
    `mutation ($input: CreateSegmentInput!) { createSegment(input: $input) { ${FIELDS} } }`,
    { input: { name, kind: 'DYNAMIC', rule } },
  );
  return createSegment;
}

async function update(sluice: Sluice, id: string, input: object): Promise<SegmentAnswer> {
  const { updateSegment } = await sluice.query<{ updateSegment: SegmentAnswer }>(
    `mutation ($id: ID!, $input: UpdateSegmentInput!) { updateSegment(id: $id, input: $input) { ${FIELDS} } }`,
    { id, input },
  );
  return updateSegment;
}

async function refresh(sluice: Sluice, id: string): Promise<SegmentAnswer> {
  const { refreshSegment: refreshed } = await sluice.query<{ refreshSegment: SegmentAnswer }>(
    `mutation ($id: ID!) { refreshSegment(id: $id) { ${FIELDS} } }`,
    { id },
  );
  return refreshed;
}

async function setState(sluice: Sluice, id: string, state: string): Promise<SegmentAnswer> {
  const { setSegmentState } = await sluice.query<{ setSegmentState: SegmentAnswer }>(
    `mutation ($id: ID!, $state: SegmentState!) { setSegmentState(id: $id, state: $state) { ${FIELDS} } }`,
    { id, state },
  );
  return setSegmentState;
}

describe('a dynamic segment', () => {
  it('has the members that its rule finds, is exported with them, and follows when it is evaluated again', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    await sluice.importCsv(PEOPLE);
    const rule = { all: [FROM('Brno')] };
    const segment = await create(sluice, rule);
    expect(segment).toMatchObject({
      kind: 'DYNAMIC',
      rule,
      memberCount: 2,
      evaluatedAt: expect.any(String) as unknown,
    });
    const exportId = await createExportOf(sluice, {
      connectionId: engine.connectionId,
      segmentIds: [segment.id],
      mapping: { email: 'email' },
      leavers: 'UNSUBSCRIBE',
      leaverHoldPercent: 100,
    });
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { confirmed: 2 },
    });

    await sluice.importCsv('id,city\n1,Praha\n2,Brno\n');
    expect((await refresh(sluice, segment.id)).memberCount).toBe(2);
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { unchanged: 1, toSend: 2, leavers: 1, confirmed: 2 },
    });
    expect([...sandbox.members(1)]).toHaveLength(2);
  });

  it('keeps how large it was, the latest first', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    await sluice.importCsv(`${PEOPLE}4,d@example.com,\n`);
    const segment = await create(sluice, {
      any: [FROM('Brno'), { attribute: 'city', operator: 'lessThan', value: 5 }],
    });
    await sluice.importCsv('id,city\n1,7\n');
    const refreshed = await refresh(sluice, segment.id);
    expect(refreshed.history.nodes).toEqual([
      { memberCount: 1, unparsedValues: 2, at: refreshed.evaluatedAt },
      { memberCount: 2, unparsedValues: 3, at: segment.evaluatedAt },
    ]);
    await sluice.importCsv('id\n1\n', { segment: 'Static' });
    const { segments } = await sluice.query<{ segments: { nodes: SegmentAnswer[] } }>(
      `{ segments(first: 5) { nodes { kind ${FIELDS} } } }`,
    );
    expect(segments.nodes[1]).toMatchObject({
      kind: 'STATIC',
      rule: null,
      history: { nodes: [{ memberCount: 1 }] },
    });
  });

  it('changes its members with its rule, and keeps both when the new one cannot be used', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    await sluice.importCsv(PEOPLE);
    const { id } = await create(sluice, FROM('Brno'));
    expect(await update(sluice, id, { rule: FROM('Praha') })).toMatchObject({
      rule: FROM('Praha'),
      memberCount: 1,
    });
    await expect(
      update(sluice, id, { rule: { attribute: 'town', operator: 'isEmpty' } }),
    ).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
    });
    await create(sluice, FROM('Brno'), 'Taken');
    await expect(update(sluice, id, { name: 'Taken', rule: FROM('Brno') })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    expect(await refresh(sluice, id)).toMatchObject({ rule: FROM('Praha'), memberCount: 1 });
  });

  it('is passed over while it is inactive, and evaluated when it is active again', async () => {
    await using engine = await startEngine();
    const { sluice, connectionId } = engine;
    await sluice.importCsv(PEOPLE);
    const { id } = await create(sluice, FROM('Brno'));
    const mapping = { email: 'email' };
    const exportId = await createExportOf(sluice, { connectionId, segmentIds: [id], mapping });
    await setState(sluice, id, 'INACTIVE');
    await expect(refresh(sluice, id)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SKIPPED',
      problem: { code: 'NO_ACTIVE_SEGMENT' },
    });
    await sluice.importCsv('id,city\n2,Brno\n');
    expect((await setState(sluice, id, 'ACTIVE')).memberCount).toBe(3);
  });

  it('is refused what does not fit its kind', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    await sluice.importCsv(PEOPLE, { segment: 'Static' });
    const input = { name: 'A', rule: FROM('Brno') };
    const creation = 'mutation ($input: CreateSegmentInput!) { createSegment(input: $input) { id } }';
    const refusal = { code: 'BAD_USER_INPUT', failures: [{ extensions: { field: 'rule' } }] };
    await expect(sluice.query(creation, { input })).rejects.toMatchObject(refusal);
    await expect(sluice.query(creation, { input: { name: 'A', kind: 'DYNAMIC' } })).rejects.toMatchObject(
      refusal,
    );
    const { segments } = await sluice.query<{ segments: { nodes: { id: string }[] } }>(
      '{ segments { nodes { id } } }',
    );
    const staticId = segments.nodes[0]?.id ?? '';
    await expect(update(sluice, staticId, { rule: FROM('Brno') })).rejects.toMatchObject(refusal);
    await expect(refresh(sluice, staticId)).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(create(sluice, FROM('Brno'), 'Static')).rejects.toMatchObject({ code: 'CONFLICT' });
    await create(sluice, FROM('Brno'));
    await expect(sluice.importCsv(PEOPLE, { segment: 'By rule' })).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      failures: [{ extensions: { field: 'segment' } }],
    });
  });
});

describe('a dynamic segment whose rule cannot be used any more', () => {
  it('stays inactive until it has another rule', async () => {
    await using sluice = await startSluice();
    await sluice.importCsv(PEOPLE);
    const { id } = await create(sluice, FROM('Brno'));
    await setState(sluice, id, 'INACTIVE');
    {
      await using database = await openBeside(sluice);
      await database.transact(({ manager }) =>
        manager.query('DELETE FROM "profile_attributes" WHERE "name" = $1', ['city']),
      );
    }
    await expect(setState(sluice, id, 'ACTIVE')).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    const { segment } = await sluice.query<{ segment: object }>(
      'query ($id: ID!) { segment(id: $id) { state } }',
      { id },
    );
    expect(segment).toEqual({ state: 'INACTIVE' });
    await update(sluice, id, { rule: { attribute: 'email', operator: 'isNotEmpty' } });
    expect((await setState(sluice, id, 'ACTIVE')).memberCount).toBe(3);
  });
});

describe('an evaluation', () => {
  let door: ImportDoor;
  let services: SegmentEvaluationServices;
  const closing = new AbortController();
  beforeEach(async () => {
    door = await ImportDoor.open();
    services = { ...door.services, closing: new AbortController().signal };
    await door.put(PEOPLE);
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });
  const make = (rule: object) => makeSegment(services, ACTOR, { name: 'S', kind: SegmentKind.DYNAMIC, rule });

  it('makes nobody a member who was removed meanwhile', async () => {
    const { transact } = services.database;
    let calls = 0;
    const removesSomebody: typeof transact = async (work) => {
      calls += 1;
      // The second write is that of the members that were found.
      if (calls === 2) await removeProfiles({ ...services, database: door.database }, ACTOR, ['3']);
      return transact(work);
    };
    services = { ...services, database: { ...services.database, transact: removesSomebody } };
    await make(FROM('Brno'));
    expect(await door.members('S')).toEqual(['1']);
  });

  it('that began earlier than another does not undo it', async () => {
    const { id } = await make(FROM('Brno'));
    await door.put('id,city\n1,Praha\n');
    const now = services.clock.now();
    const earlier = { ...services, clock: { ...services.clock, now: () => now - 60_000 } };
    await evaluateSegment(earlier, id);
    expect(await getSegment(services, id)).toMatchObject({ memberCount: 2 });
    await evaluateSegment(services, id);
    expect(await getSegment(services, id)).toMatchObject({ memberCount: 1 });
    expect((await door.generations()).rows).toHaveLength(1);
  });

  it('that is broken off by the end of the server leaves everything as it was', async () => {
    const { id } = await make(FROM('Brno'));
    const before = await door.generations();
    closing.abort();
    const stopping = { ...services, closing: closing.signal };
    const refusal = { code: 'CONFLICT', message: expect.stringContaining('is stopping') as unknown };
    await expect(evaluateSegment(stopping, id)).rejects.toMatchObject(refusal);
    await expect(changeSegment(stopping, ACTOR, id, { rule: FROM('Praha') })).rejects.toMatchObject(refusal);
    expect(await door.generations()).toEqual(before);
    expect(await getSegment(services, id)).toMatchObject({ rule: FROM('Brno'), memberCount: 2 });
  });
});
