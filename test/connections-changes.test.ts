import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { startSandbox, type Sandbox } from '../sandbox/sandbox.js';
import { storedIn } from './helpers/databases.js';
import { connectionCalls, refusalOf } from './helpers/connection-calls.js';
import { addExports } from './helpers/export-rows.js';
import { startSluice } from './helpers/sluice.js';
import { fakeTime } from './helpers/stub-destination.js';

const KEY = 'api-key-of-the-first-account-9f3c';
const OTHER_KEY = 'api-key-of-the-other-account-71d0';
const UNKNOWN_ID = '019ab000-0000-7000-8000-000000000000';

describe('a connection', () => {
  let sandbox: Sandbox;
  let other: Sandbox;

  beforeAll(async () => {
    sandbox = await startSandbox({ tokens: [KEY], quotas: false });
    other = await startSandbox({ tokens: [OTHER_KEY], quotas: false, account: 'other' });
  });

  afterAll(async () => {
    await Promise.all([sandbox.close(), other.close()]);
  });

  beforeEach(() => {
    sandbox.reset();
    other.reset();
  });

  const start = (clock = fakeTime()) =>
    startSluice({
      sandbox,
      clock,
      env: { SLUICE_SANDBOX_HOSTS: `${sandbox.host},${other.host}`, LOG_LEVEL: 'trace' },
    });
  const input = (changes: object = {}) => ({ host: sandbox.host, apiKey: KEY, ...changes });

  it('begins as a draft, of which nothing was asked at the destination', async () => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    const made = await calls.create(input({ displayName: '  Newsletter account ' }));
    expect(made).toMatchObject({
      displayName: 'Newsletter account',
      kind: 'ACTIVE_CAMPAIGN',
      sharing: 'ADMINISTRATORS',
      state: 'DRAFT',
      host: sandbox.host,
      apiKeyHint: '9f3c',
      profileLimit: 1_000_000,
      consent: null,
      exportUser: null,
      checkedAt: null,
      problem: null,
    });
    expect(made.updatedBy).not.toBeNull();
    expect(await calls.get(made.id)).toEqual(made);
    expect(sandbox.log).toEqual([]);
  });

  it('takes the API URL as ActiveCampaign shows it for its host', async () => {
    await using sluice = await start();
    const { host } = await connectionCalls(sluice).create(
      input({ host: ' https://Acme.api-us1.com/api/3 ' }),
    );
    expect(host).toBe('acme.api-us1.com');
  });

  it('shows no hint of a short key', async () => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    expect((await calls.create(input({ apiKey: 'eleven-char' }))).apiKeyHint).toBeNull();
    expect((await calls.create(input({ apiKey: 'twelve-chars' }))).apiKeyHint).toBe('hars');
  });

  it.each([
    ['displayName', ''],
    ['displayName', '   '],
    ['displayName', 'x'.repeat(201)],
    ['displayName', 'two\nlines'],
    ['displayName', 'nul\u0000'],
    ['apiKey', ''],
    ['apiKey', '   '],
    ['apiKey', 'two words'],
    ['apiKey', 'line\r\nHost: elsewhere'],
    ['apiKey', 'ключ'],
    ['apiKey', 'k'.repeat(501)],
    ['host', 'http://example.com'],
    ['host', '127.0.0.1:1'],
    ['profileLimit', 0],
    ['profileLimit', -1],
    ['profileLimit', 1_000_001],
  ])('is refused with the %s %j, made or changed, and says what to do', async (field, value) => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    const { id, ...before } = await calls.create(input());
    for (const attempt of [calls.create(input({ [field]: value })), calls.update(id, { [field]: value })]) {
      const refusal = await refusalOf(attempt);
      expect(refusal).toMatchObject({ code: 'BAD_USER_INPUT', field });
      expect(refusal.remedy).toMatch(/\w+\.$/);
    }
    expect(await calls.get(id)).toEqual({ id, ...before });
  });

  it.each([
    ['displayName', 'x'.repeat(200)],
    ['displayName', '👩‍🚀'.repeat(60)],
    ['apiKey', 'k'.repeat(500)],
    ['profileLimit', 1],
    ['profileLimit', 1_000_000],
  ])('may have the %s %j', async (field, value) => {
    await using sluice = await start();
    await expect(connectionCalls(sluice).create(input({ [field]: value }))).resolves.toMatchObject({
      state: 'DRAFT',
    });
  });

  it('gives its key away nowhere: not in answers, logs or files', async () => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input({ apiKey: OTHER_KEY }));
    await calls.giveConsent(id);
    expect((await refusalOf(calls.connect(id))).code).toBe('CONNECTION_FAILED');
    await refusalOf(calls.update(id, { apiKey: `${OTHER_KEY} ` + 'ключ' }));
    expect(JSON.stringify(await calls.get(id))).not.toContain(OTHER_KEY);
    expect(sluice.log.length).toBeGreaterThan(3);
    expect(JSON.stringify(sluice.log)).not.toContain(OTHER_KEY);
    const files = await readdir(sluice.folder);
    expect(await storedIn(sluice.folder)).not.toContain(OTHER_KEY);
    for (const file of files) {
      expect((await readFile(join(sluice.folder, file))).includes(OTHER_KEY)).toBe(false);
    }
  });

  it('keeps what a change does not name', async () => {
    const clock = fakeTime();
    await using sluice = await start(clock);
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input());
    await calls.giveConsent(id);
    const before = await calls.connect(id);
    await clock.sleep(1_000);
    const after = await calls.update(id, { displayName: 'Renamed', profileLimit: 5, apiKey: null });
    expect(after).toEqual({
      ...before,
      displayName: 'Renamed',
      profileLimit: 5,
      updatedAt: new Date(clock.now()).toISOString(),
    });
    expect(after.state).toBe('CONNECTED');
  });

  it('is a draft again with another key, and keeps the consent', async () => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input({ apiKey: 'a-key-that-is-wrong' }));
    const { consent } = await calls.giveConsent(id);
    await refusalOf(calls.connect(id));
    expect(await calls.update(id, { apiKey: KEY })).toMatchObject({
      state: 'DRAFT',
      apiKeyHint: '9f3c',
      problem: null,
      checkedAt: null,
      consent,
    });
    expect((await calls.connect(id)).state).toBe('CONNECTED');
  });

  it('forgets key and consent with another host, which never gets to see the key', async () => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input());
    await calls.giveConsent(id);
    await calls.connect(id);
    expect(await calls.update(id, { host: other.host })).toMatchObject({
      state: 'DRAFT',
      host: other.host,
      apiKeyHint: null,
      consent: null,
      checkedAt: null,
      problem: null,
    });
    expect((await refusalOf(calls.connect(id))).code).toBe('CONSENT_REQUIRED');
    await calls.giveConsent(id);
    expect(await refusalOf(calls.connect(id))).toMatchObject({
      code: 'CONNECTION_FAILED',
      message: 'The connection has no API key.',
    });
    expect(other.log).toEqual([]);
    await calls.update(id, { apiKey: OTHER_KEY });
    expect((await calls.connect(id)).state).toBe('CONNECTED');
  });

  it('takes a new host and its key in one call', async () => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input());
    expect(await calls.update(id, { host: other.host, apiKey: OTHER_KEY })).toMatchObject({
      state: 'DRAFT',
      apiKeyHint: '71d0',
    });
    await calls.giveConsent(id);
    expect((await calls.connect(id)).state).toBe('CONNECTED');
  });

  it('is left alone by its own host, spelled otherwise', async () => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input({ host: 'acme.api-us1.com' }));
    await calls.giveConsent(id);
    const after = await calls.update(id, { host: 'https://ACME.api-us1.com/api/3' });
    expect(after.apiKeyHint).toBe('9f3c');
    expect(after.consent).not.toBeNull();
  });

  it('is shared with contributors and taken back', async () => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input());
    expect((await calls.share(id, 'ADMINISTRATORS_AND_CONTRIBUTORS')).sharing).toBe(
      'ADMINISTRATORS_AND_CONTRIBUTORS',
    );
    expect((await calls.share(id, 'ADMINISTRATORS')).sharing).toBe('ADMINISTRATORS');
  });

  it('has the administrator as export user who says so', async () => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input());
    expect((await calls.becomeExportUser(id)).exportUser?.displayName).toBe('Administrator');
  });

  it('is listed in pages, the oldest first', async () => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    const names = ['one', 'two', 'three'];
    for (const displayName of names) await calls.create(input({ displayName }));
    const page = (variables: object) =>
      sluice.query<{
        connections: {
          nodes: { displayName: string }[];
          pageInfo: { endCursor: string };
          totalCount: number;
        };
      }>(
        `query ($first: Int, $after: String) {
          connections(first: $first, after: $after) { nodes { displayName } pageInfo { endCursor } totalCount } }`,
        { ...variables },
      );
    const { connections: first } = await page({ first: 2 });
    const { connections: second } = await page({ first: 2, after: first.pageInfo.endCursor });
    expect([...first.nodes, ...second.nodes].map(({ displayName }) => displayName)).toEqual(names);
    expect(second.totalCount).toBe(3);
  });

  it('is removed, with its key, when no export uses it', async () => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input());
    expect(await calls.remove(id)).toBe(true);
    expect((await refusalOf(calls.get(id))).code).toBe('NOT_FOUND');
    expect((await refusalOf(calls.remove(id))).code).toBe('NOT_FOUND');
  });

  it('is not removed while exports use it, and says which', async () => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    const { id } = await calls.create(input());
    await addExports(sluice, id, 'sandbox', ['Spring']);
    expect(await refusalOf(calls.remove(id))).toMatchObject({
      code: 'CONNECTION_IN_USE',
      message: 'The connection is used by the export "Spring".',
    });
    await addExports(sluice, id, 'sandbox', ['Summer', 'Autumn', 'Winter', 'Extra']);
    expect((await refusalOf(calls.remove(id))).message).toBe(
      'The connection is used by the exports "Spring", "Summer", "Autumn" and 2 more.',
    );
    expect((await calls.get(id)).displayName).toBe('Newsletter account');
  });

  it('that does not exist answers NOT_FOUND to everything', async () => {
    await using sluice = await start();
    const calls = connectionCalls(sluice);
    const attempts = [
      calls.get(UNKNOWN_ID),
      calls.update(UNKNOWN_ID, { displayName: 'x' }),
      calls.share(UNKNOWN_ID, 'ADMINISTRATORS'),
      calls.giveConsent(UNKNOWN_ID),
      calls.withdrawConsent(UNKNOWN_ID),
      calls.connect(UNKNOWN_ID),
      calls.becomeExportUser(UNKNOWN_ID),
      calls.lists(UNKNOWN_ID),
      calls.remove(UNKNOWN_ID),
    ];
    const refusals = await Promise.all(attempts.map(refusalOf));
    expect(new Set(refusals.map(({ code, message }) => `${code}: ${message}`))).toEqual(
      new Set(['NOT_FOUND: There is no such connection.']),
    );
  });
});
