import {
  exportOf,
  finish,
  people,
  rejectionsOf,
  runFully,
  startEngine,
  type Engine,
} from './helpers/engine.js';
import { startRun } from './helpers/flows.js';

const HEADER = 'id,email,first_name,last_name,phone';

/** Letters that look like others, or become others where somebody folds more than ASCII. */
const KELVIN = '\u212A';
const ANGSTROM = '\u212B';
const LONG_S = '\u017F';
const DOTTED_I = '\u0130';

function csvOf(addresses: readonly string[]): string {
  return [HEADER, ...addresses.map((email, index) => `${index + 1},${email},First ${index + 1},,`), ''].join(
    '\n',
  );
}

/** What is on list 1, as `address first name`. */
const onList = ({ sandbox }: Engine): string[] =>
  [...sandbox.contacts()]
    .filter(({ lists }) => lists.some(({ list, status }) => list === 1 && status === 1))
    .map(({ email, firstName }) => `${email} ${firstName}`)
    .sort();

async function deliver(engine: Engine, addresses: readonly string[]) {
  const exportId = await exportOf(engine, csvOf(addresses));
  return { exportId, run: await runFully(engine.sluice, exportId) };
}

describe('addresses that look alike', () => {
  it.each([
    ['the Kelvin sign and k', [`${KELVIN}ate@example.com`, 'kate@example.com']],
    ['the Angstrom sign and å', [`${ANGSTROM}sa@example.com`, 'åsa@example.com']],
    ['É and é', ['É@example.com', 'é@example.com', 'e@example.com']],
    [
      'long s, s and dotted I',
      [`${LONG_S}am@example.com`, 'sam@example.com', `${DOTTED_I}@example.com`, 'i@example.com'],
    ],
    ['Greek sigmas', ['ΝΙΚΟΣ@example.com', 'νικος@example.com', 'νικοσ@example.com']],
    ['composed and decomposed', ['jos\u00e9@example.com', 'jose\u0301@example.com']],
    ['full-width letters', ['ａｎｎ@example.com', 'ann@example.com']],
  ])('are of different people: %s', async (_what, addresses) => {
    await using engine = await startEngine();
    const { run } = await deliver(engine, addresses);
    expect(run).toMatchObject({
      state: 'SUCCEEDED',
      progress: { skipped: 0, toSend: addresses.length, confirmed: addresses.length },
    });
    expect(onList(engine)).toEqual(addresses.map((email, index) => `${email} First ${index + 1}`).sort());
  });

  it('do not keep each other away when the destination refuses one of them', async () => {
    await using engine = await startEngine();
    engine.sandbox.refuseAddresses({ matching: (email) => email.includes(KELVIN), how: 'later' });
    const { exportId, run } = await deliver(engine, [`${KELVIN}ate@example.com`, 'kate@example.com']);
    expect(run.progress).toMatchObject({ toSend: 2, confirmed: 1, rejected: 1, unconfirmed: 0 });
    expect(onList(engine)).toEqual(['kate@example.com First 2']);
    await engine.sluice.importCsv(csvOf([`${KELVIN}ate@example.com`, 'kate@example.com']), {
      segment: 'All',
    });
    const again = await runFully(engine.sluice, exportId);
    expect(again.progress).toMatchObject({ unchanged: 1, rejected: 1, leavers: 0 });
  });

  it('are one person where only ASCII letters differ in case', async () => {
    await using engine = await startEngine();
    const { run } = await deliver(engine, ['Zoë.LEE@Example.COM', 'zoë.lee@example.com']);
    expect(run.progress).toMatchObject({ skipped: 1, toSend: 1, confirmed: 1 });
    expect(onList(engine)).toEqual(['Zoë.LEE@Example.COM First 1']);
  });

  it('are recognised in the failures that the destination spells in its own way', async () => {
    await using engine = await startEngine();
    const { sandbox, sluice } = engine;
    sandbox.refuseAddresses({ emails: ['É@example.com', 'max@xn--bcher-kva.example'], how: 'later' });
    sandbox.set({ failureSpelling: 'lower-case' });
    const rows = csvOf(['É@example.com', 'max@bücher.example']).trimEnd().split('\n').slice(1);
    const exportId = await exportOf(engine, `${people(100, 10)}${rows.join('\n')}\n`);
    const run = await finish(sluice, await startRun(sluice, exportId));
    expect(run.progress).toMatchObject({ toSend: 102, confirmed: 100, rejected: 2, unconfirmed: 0 });
    const reasons = (await rejectionsOf(sluice, run.id)).map(
      ({ profileId, reason }) => `${profileId} ${reason}`,
    );
    expect(reasons.sort()).toEqual(['1 REFUSED_BY_DESTINATION', '2 REFUSED_BY_DESTINATION']);
  });
});

describe('an internationalised domain', () => {
  const FORMS = [
    'max@bücher.example',
    'max@BÜCHER.example',
    'max@bu\u0308cher.Example',
    'max@xn--bcher-kva.example',
    'MAX@XN--BCHER-KVA.EXAMPLE',
    'max@ｂücher.example',
    'max@bücher。example',
  ];

  it.each(FORMS)('is sent in ASCII, whichever form comes first: %s', async (first) => {
    await using engine = await startEngine();
    const { run } = await deliver(engine, [first, ...FORMS]);
    expect(run).toMatchObject({ progress: { skipped: FORMS.length, toSend: 1, confirmed: 1, rejected: 0 } });
    expect(onList(engine).map((line) => line.toLowerCase())).toEqual(['max@xn--bcher-kva.example first 1']);
  });

  it('takes off the list whom it brought, and brings them back', async () => {
    await using engine = await startEngine();
    const { sluice, sandbox } = engine;
    const exportId = await exportOf(engine, `${people(30, 10)}1,max@bücher.example,Max,,\n`, {
      leavers: 'UNSUBSCRIBE',
    });
    await runFully(sluice, exportId);
    await sluice.importCsv(people(30, 10), { segment: 'All' });
    expect((await runFully(sluice, exportId)).progress).toMatchObject({ leavers: 1, confirmed: 1 });
    expect(sandbox.contact('max@xn--bcher-kva.example')?.lists).toMatchObject([{ list: 1, status: 2 }]);
    await sluice.importCsv(`${people(30, 10)}1,MAX@xn--bcher-kva.example,Max,,\n`, { segment: 'All' });
    expect(await runFully(sluice, exportId)).toMatchObject({
      state: 'SUCCEEDED',
      progress: { confirmed: 1 },
    });
    expect(sandbox.contact('max@xn--bcher-kva.example')?.lists).toMatchObject([{ list: 1, status: 1 }]);
    expect(sandbox.summary().invariants.overriddenOptOuts).toBe(0);
  });

  it('that names no domain is refused here, and keeps nobody else away', async () => {
    await using engine = await startEngine();
    const addresses = ['ann@xn--é.example', 'bo@\u0301a.example', 'ann@example.com'];
    const { run } = await deliver(engine, addresses);
    expect(run.progress).toMatchObject({ skipped: 2, toSend: 1, confirmed: 1, rejected: 0 });
    const reasons = (await rejectionsOf(engine.sluice, run.id)).map(
      ({ email, reason }) => `${email ?? ''} ${reason}`,
    );
    expect(reasons.sort()).toEqual(
      [`${addresses[0] ?? ''} INVALID_EMAIL`, `${addresses[1] ?? ''} INVALID_EMAIL`].sort(),
    );
  });
});
