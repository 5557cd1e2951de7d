import {
  bodiesOf,
  exportOf,
  finish,
  held,
  imports,
  rejectionsOf,
  runFully,
  startEngine,
} from './helpers/engine.js';
import { createExportOf, segmentNamed, startRun } from './helpers/flows.js';
import type { Sluice } from './helpers/sluice.js';

const HEADER = 'id,email,first_name,last_name,phone\n';

async function setState(sluice: Sluice, segment: string, state: 'ACTIVE' | 'INACTIVE'): Promise<void> {
  await sluice.query(
    'mutation ($id: ID!, $state: SegmentState!) { setSegmentState(id: $id, state: $state) { id } }',
    { id: await segmentNamed(sluice, segment), state },
  );
}

describe('what a run delivers', () => {
  it('arrives exactly as the profiles have it', async () => {
    await using engine = await startEngine();
    const exportId = await exportOf(
      engine,
      `${HEADER}1, Ann.Lee@Example.com ,  Ann ,"O'Neill, ""Jr""",+1 (555) 1\n2,bo@example.com,Żółć 😀,ß,\n`,
    );
    const run = await runFully(engine.sluice, exportId);
    expect(run).toMatchObject({
      state: 'SUCCEEDED',
      problem: null,
      attempt: 1,
      progress: {
        members: 2,
        skipped: 0,
        toSend: 2,
        accepted: 2,
        confirmed: 2,
        rejected: 0,
        unconfirmed: 0,
        notSent: 0,
      },
    });
    expect(held(engine.sandbox)).toEqual([
      `Ann.Lee@Example.com|Ann|O'Neill, "Jr"|+1 (555) 1`,
      'bo@example.com|Żółć 😀|ß|',
    ]);
    expect([...engine.sandbox.members(1)].sort()).toEqual(['Ann.Lee@Example.com', 'bo@example.com']);
  });

  it('leaves empty values out the first time, and clears them once they were filled', async () => {
    await using engine = await startEngine({ sandbox: { keepBodies: true } });
    const { sandbox, sluice } = engine;
    sandbox.addContacts([{ email: 'a@example.com', firstName: 'Known', phone: '1', lastName: 'There' }]);
    const exportId = await exportOf(engine, `${HEADER}1,a@example.com,,Lee,\n`);
    await runFully(sluice, exportId);
    expect(held(sandbox)).toEqual(['a@example.com|Known|Lee|1']);
    const subscribe = [{ listid: 1 }];
    expect(bodiesOf(imports(sandbox))).toEqual([[{ email: 'a@example.com', last_name: 'Lee', subscribe }]]);

    await sluice.importCsv(`${HEADER}1,a@example.com,Ann,Lee,\n`);
    await runFully(sluice, exportId);
    await sluice.importCsv(`${HEADER}1,a@example.com,,,\n`);
    await runFully(sluice, exportId);
    expect(held(sandbox)).toEqual(['a@example.com|||1']);
    expect(bodiesOf(imports(sandbox)).at(-1)).toEqual([
      { email: 'a@example.com', first_name: '', last_name: '', subscribe },
    ]);
  });

  it('touches no field that is not mapped, even one that was mapped before', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, `${HEADER}1,a@example.com,Ann,Lee,1\n`);
    await runFully(sluice, exportId);
    await sluice.query(
      'mutation ($id: ID!, $input: UpdateExportInput!) { updateExport(id: $id, input: $input) { id } }',
      { id: exportId, input: { mapping: { email: 'email', firstName: 'last_name' } } },
    );
    await sluice.importCsv(`${HEADER}1,a@example.com,Bea,Ray,2\n`);
    await runFully(sluice, exportId);
    expect(held(sandbox)).toEqual(['a@example.com|Ray|Lee|1']);
  });

  it('starts automations unless the export says no', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const quiet = await exportOf(engine, `${HEADER}1,a@example.com,,,\n`, { runAutomations: false });
    await runFully(sluice, quiet);
    expect(sandbox.contact('a@example.com')).toMatchObject({ imports: 1, automations: 0 });
    await runFully(sluice, await exportOf(engine, `${HEADER}1,a@example.com,,,\n`));
    expect(sandbox.contact('a@example.com')).toMatchObject({ imports: 2, automations: 1 });
  });
});

describe('who is not sent', () => {
  it('is told with the reason: no address, a bad one, or one that another profile has', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    // U+FF5E sorts after U+10000 in UTF-16, before it in UTF-8: by id the profile `～` comes first.
    const exportId = await exportOf(
      engine,
      `${HEADER}10,a@example.com,Ten,,\n9,A@Example.com,Nine,,\n2,  ,,,\n3,no spaces@example.com,,,\n` +
        `～,twin@example.com,Tilde,,\n𐀀,TWIN@example.com,Linear B,,\n4,bad@,,,\n`,
    );
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({
      state: 'SUCCEEDED_WITH_WARNINGS',
      progress: { members: 7, skipped: 5, toSend: 2, confirmed: 2 },
    });
    expect(held(sandbox)).toEqual(['a@example.com|Ten||', 'twin@example.com|Tilde||']);
    const told = (await rejectionsOf(sluice, run.id)).map(({ profileId, email, reason }) =>
      [profileId, email, reason].join(' '),
    );
    expect(told.sort()).toEqual([
      '2  MISSING_EMAIL',
      '3 no spaces@example.com INVALID_EMAIL',
      '4 bad@ INVALID_EMAIL',
      '9 A@Example.com DUPLICATE_EMAIL',
      '𐀀 TWIN@example.com DUPLICATE_EMAIL',
    ]);
    const details = (await rejectionsOf(sluice, run.id)).map(({ detail }) => detail);
    expect(details).toContain('The profile 10 has the same address.');
    expect(details).toContain('The attribute email is empty.');
  });

  it('is told which character of an address cannot be seen', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(
      engine,
      `${HEADER}1,an\u200bn@example.com,,,\n2,bob@exam\u00adple.com,,,\n3,cy@example.com\u2060,,,\n4,di@example.com,,,\n`,
    );
    const run = await runFully(sluice, exportId);
    expect(run.progress).toMatchObject({ members: 4, skipped: 3, confirmed: 1 });
    expect(held(sandbox)).toEqual(['di@example.com|||']);
    const told = (await rejectionsOf(sluice, run.id)).map(({ profileId, reason, detail }) =>
      [profileId, reason, /U\+\w+/.exec(detail ?? '')?.[0]].join(' '),
    );
    expect(told.sort()).toEqual([
      '1 INVALID_EMAIL U+200B',
      '2 INVALID_EMAIL U+00AD',
      '3 INVALID_EMAIL U+2060',
    ]);
  });

  it('is no reason for a warning when an address is only there twice', async () => {
    await using engine = await startEngine();
    const exportId = await exportOf(engine, `${HEADER}1,a@example.com,One,,\n2,a@example.com,Two,,\n`);
    const run = await runFully(engine.sluice, exportId);
    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { members: 2, skipped: 1, confirmed: 1 } });
  });
});

describe('the segments of an export', () => {
  it('are sent as their union, everybody once, and inactive ones are passed over', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice, connectionId } = engine;
    await sluice.importCsv(`${HEADER}1,a@example.com,,,\n2,b@example.com,,,\n`, { segment: 'One' });
    await sluice.importCsv(`${HEADER}2,b@example.com,,,\n3,c@example.com,,,\n`, { segment: 'Two' });
    await sluice.importCsv(`${HEADER}4,d@example.com,,,\n`, { segment: 'Off' });
    await setState(sluice, 'Off', 'INACTIVE');
    const segmentIds = await Promise.all(['One', 'Two', 'Off'].map((name) => segmentNamed(sluice, name)));
    const exportId = await createExportOf(sluice, { connectionId, segmentIds });
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { members: 3, confirmed: 3 },
    });
    expect([...sandbox.contacts()].map(({ email, imports: times }) => [email, times])).toEqual([
      ['a@example.com', 1],
      ['b@example.com', 1],
      ['c@example.com', 1],
    ]);
  });

  it('skip the run when all of them are inactive', async () => {
    await using engine = await startEngine();
    const exportId = await exportOf(engine, `${HEADER}1,a@example.com,,,\n`);
    await setState(engine.sluice, 'All', 'INACTIVE');
    expect(await runFully(engine.sluice, exportId)).toMatchObject({
      state: 'SKIPPED',
      problem: { code: 'NO_ACTIVE_SEGMENT' },
    });
    expect(imports(engine.sandbox)).toEqual([]);
  });

  it('skip the run when they have more members than the connection allows, and nothing is sent', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice, connectionId } = engine;
    const limit = (profileLimit: number) =>
      sluice.query(
        'mutation ($id: ID!, $input: UpdateConnectionInput!) { updateConnection(id: $id, input: $input) { id } }',
        { id: connectionId, input: { profileLimit } },
      );
    await limit(2);
    const exportId = await exportOf(
      engine,
      `${HEADER}1,a@example.com,,,\n2,b@example.com,,,\n3,c@example.com,,,\n`,
    );
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({ state: 'SKIPPED', problem: { code: 'TOO_MANY_PROFILES' } });
    expect(run.problem?.message).toBe(
      'The segments have 3 profiles, more than the connection allows for an export.',
    );
    expect(imports(sandbox)).toEqual([]);
    expect(sandbox.contactCount).toBe(0);

    await limit(3);
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { confirmed: 3 },
    });
  });

  it('may be empty: the run succeeds with nobody', async () => {
    await using engine = await startEngine();
    const { sluice, connectionId } = engine;
    await sluice.importCsv(`${HEADER}1,a@example.com,,,\n`);
    const { createSegment } = await sluice.query<{ createSegment: { id: string } }>(
      'mutation { createSegment(input: { name: "Nobody" }) { id } }',
    );
    const exportId = await createExportOf(sluice, { connectionId, segmentIds: [createSegment.id] });
    const run = await finish(sluice, await startRun(sluice, exportId));
    expect(run).toMatchObject({
      state: 'SUCCEEDED',
      problem: null,
      progress: { members: 0, skipped: 0, toSend: 0, accepted: 0, confirmed: 0 },
    });
    expect(imports(engine.sandbox)).toEqual([]);
  });
});
