import { startSandbox, type Sandbox } from '../sandbox/sandbox.js';
import { openIn } from './helpers/databases.js';
import { Consent } from '../src/entities/consent.js';
import { connectionCalls, refusalOf } from './helpers/connection-calls.js';
import { startHeldDestination } from './helpers/held-destination.js';
import { startSluice, type Sluice } from './helpers/sluice.js';
import { fakeTime } from './helpers/stub-destination.js';

describe('consent', () => {
  let sandbox: Sandbox;

  beforeAll(async () => {
    sandbox = await startSandbox({ quotas: false });
  });

  afterAll(async () => {
    await sandbox.close();
  });

  beforeEach(() => {
    sandbox.reset();
  });

  const input = () => ({ host: sandbox.host, apiKey: sandbox.token });

  /** Every consent that was ever given, the oldest first, as the database has it. */
  async function record(sluice: Sluice): Promise<Consent[]> {
    const database = await openIn(sluice.folder);
    try {
      return await database.reader.find(Consent, { order: { id: 'ASC' } });
    } finally {
      await database.close();
    }
  }

  it('is asked for with a text that says where data goes, whose duty that is, and how to end it', async () => {
    await using sluice = await startSluice({ sandbox });
    const { version, text } = await connectionCalls(sluice).statement();
    expect(version).toMatch(/^\d{4}-\d\d-\d\d$/);
    for (const part of [
      /send profiles to ActiveCampaign/,
      /sensitive/,
      /responsible/,
      /withdraw/,
      /remove the connection at any time/,
    ]) {
      expect(text).toMatch(part);
    }
  });

  it('is needed before anything is asked at the destination', async () => {
    await using sluice = await startSluice({ sandbox });
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input());
    for (const attempt of [calls.connect(id), calls.lists(id)]) {
      expect(await refusalOf(attempt)).toMatchObject({
        code: 'CONSENT_REQUIRED',
        remedy: expect.stringContaining('giveConsent') as string,
      });
    }
    expect(sandbox.log).toEqual([]);
    expect((await calls.get(id)).state).toBe('DRAFT');
  });

  it('records who agreed to which words, and when', async () => {
    const clock = fakeTime();
    await using sluice = await startSluice({ sandbox, clock });
    const calls = connectionCalls(sluice);
    const { id, updatedBy } = await calls.create(input());
    await clock.sleep(5_000);
    const { version, text } = await calls.statement();
    const { consent } = await calls.agree(id, version);
    expect(consent).toEqual({
      statement: text,
      statementVersion: version,
      acceptedAt: new Date(clock.now()).toISOString(),
      acceptedBy: { id: updatedBy?.id, displayName: 'Administrator' },
    });
  });

  it.each(['2020-01-01', '', 'latest'])(
    'to the version %j, which is not the current one, is refused',
    async (version) => {
      await using sluice = await startSluice({ sandbox });
      const calls = connectionCalls(sluice);
      const { id } = await calls.create(input());
      expect(await refusalOf(calls.agree(id, version))).toMatchObject({
        code: 'BAD_USER_INPUT',
        field: 'statementVersion',
        remedy: expect.stringContaining('consentStatement') as string,
      });
      expect((await calls.get(id)).consent).toBeNull();
    },
  );

  it('given twice, or by ten clicks at once, is given once', async () => {
    const clock = fakeTime();
    await using sluice = await startSluice({ sandbox, clock });
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input());
    const { version } = await calls.statement();
    const answers = await Promise.all(Array.from({ length: 10 }, () => calls.agree(id, version)));
    await clock.sleep(1_000);
    answers.push(await calls.agree(id, version));
    expect(new Set(answers.map(({ consent }) => consent?.acceptedAt)).size).toBe(1);
    expect(await record(sluice)).toHaveLength(1);
  });

  it('is for one connection, not for others', async () => {
    await using sluice = await startSluice({ sandbox });
    const calls = connectionCalls(sluice);
    const [agreed, other] = [await calls.create(input()), await calls.create(input())];
    await calls.giveConsent(agreed.id);
    expect((await calls.get(other.id)).consent).toBeNull();
    expect((await refusalOf(calls.connect(other.id))).code).toBe('CONSENT_REQUIRED');
  });

  it('withdrawn stays on record with who and when, and stops connecting', async () => {
    const clock = fakeTime();
    await using sluice = await startSluice({ sandbox, clock });
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input());
    await calls.giveConsent(id);
    const given = clock.now();
    await calls.connect(id);
    await clock.sleep(1_000);
    expect((await calls.withdrawConsent(id)).consent).toBeNull();
    expect((await refusalOf(calls.connect(id))).code).toBe('CONSENT_REQUIRED');
    expect((await refusalOf(calls.lists(id))).code).toBe('CONSENT_REQUIRED');

    const withdrawn = await calls.withdrawConsent(id);
    expect(withdrawn.consent).toBeNull();
    const [row, ...rest] = await record(sluice);
    expect(rest).toEqual([]);
    expect(row).toMatchObject({
      acceptedAt: new Date(given),
      withdrawnAt: new Date(given + 1_000),
      withdrawnById: row?.acceptedById,
    });
  });

  it('given again after that is another act on record', async () => {
    await using sluice = await startSluice({ sandbox });
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input());
    await calls.giveConsent(id);
    await calls.withdrawConsent(id);
    await calls.giveConsent(id);
    expect((await calls.connect(id)).state).toBe('CONNECTED');
    expect((await record(sluice)).map(({ withdrawnAt }) => withdrawnAt !== null)).toEqual([true, false]);
  });

  it('to an earlier statement is replaced, and kept, when somebody agrees to the current one', async () => {
    await using sluice = await startSluice({ sandbox });
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input());
    await calls.giveConsent(id);
    const database = await openIn(sluice.folder);
    await database.transact(({ manager }) => manager.updateAll(Consent, { statementVersion: '2025-01-01' }));
    await database.close();
    const { consent } = await calls.giveConsent(id);
    expect(consent?.statementVersion).toBe((await calls.statement()).version);
    const versions = (await record(sluice)).map(({ statementVersion, withdrawnAt }) => [
      statementVersion,
      withdrawnAt === null,
    ]);
    expect(versions).toEqual([
      ['2025-01-01', false],
      [consent?.statementVersion, true],
    ]);
  });

  it.each([
    ['the connection gets another host', 'update'],
    ['the connection is removed', 'remove'],
  ] as const)('ends, on record, when %s', async (_what, how) => {
    await using sluice = await startSluice({ sandbox });
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input());
    await calls.giveConsent(id);
    await (how === 'update' ? calls.update(id, { host: 'acme.api-us1.com' }) : calls.remove(id));
    const [row] = await record(sluice);
    expect(row?.connectionId).toBe(id);
    expect(row?.withdrawnAt).not.toBeNull();
    expect(row?.withdrawnById).toBe(row?.acceptedById);
  });

  it('withdrawn while the destination is being asked leaves nothing of the answer', async () => {
    await using slow = await startHeldDestination();
    await using sluice = await startSluice({ sandbox: slow });
    const calls = connectionCalls(sluice);
    const { id } = await calls.create({ host: slow.host, apiKey: 'a-key-for-the-stub' });
    await calls.giveConsent(id);
    const connecting = refusalOf(calls.connect(id));
    await slow.asked;
    await calls.withdrawConsent(id);
    slow.letGo();
    expect((await connecting).code).toBe('CONSENT_REQUIRED');
    expect(await calls.get(id)).toMatchObject({ state: 'DRAFT', checkedAt: null });
  });
});
