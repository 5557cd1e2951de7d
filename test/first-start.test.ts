import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import 'reflect-metadata';
import type { Database } from '../src/database.js';
import { loseDatabase, openIn, removeFolder } from './helpers/databases.js';
import { ApiToken } from '../src/entities/api-token.js';
import { User } from '../src/entities/user.js';
import { createLogger } from '../src/logger.js';
import { ensureAdministrator } from '../src/people/administrator.js';
import { authenticate } from '../src/people/authenticate.js';
import { isGarbledToken } from '../src/security/tokens.js';
import { startSluice } from './helpers/sluice.js';
import { fakeTime } from './helpers/stub-destination.js';

const GIVEN = 'a-token-that-the-operator-chose';

describe('the first start', () => {
  let folder: string;
  const databases: Database[] = [];
  const clock = fakeTime();

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-first-start-'));
  });

  afterEach(async () => {
    await Promise.all(databases.splice(0).map((database) => database.close()));
    await removeFolder(folder);
  });

  /** A database connection of its own, as each process has. */
  async function open(): Promise<Database> {
    const database = await openIn(folder);
    databases.push(database);
    return database;
  }

  const start = (database: Database, adminToken?: string) =>
    ensureAdministrator({ database, clock }, { adminToken, dataFolder: folder });
  const signIn = async (database: Database, token: string) =>
    (await authenticate({ database, clock, logger: createLogger('silent') }, `Bearer ${token}`)).user;

  it('makes one administrator and a token, kept in a file for its owner alone', async () => {
    const database = await open();
    const { token = '', file = '' } = await start(database);
    expect(token).toMatch(/^slu_/);
    expect(isGarbledToken(token)).toBe(false);
    expect(file).toBe(join(folder, 'admin-token'));
    expect(readFileSync(file, 'utf8')).toBe(`${token}\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await signIn(database, token)).toMatchObject({
      displayName: 'Administrator',
      role: 'ADMINISTRATOR',
      disabled: false,
    });
  });

  it('keeps the token itself nowhere in the database', async () => {
    const database = await open();
    const { token = '' } = await start(database);
    const [row] = await database.reader.find(ApiToken);
    expect(JSON.stringify(row)).not.toContain(token);
    expect(row?.hint).toBe(token.slice(-4));
  });

  it('is told from the second, which makes nothing and tells nothing', async () => {
    const database = await open();
    const { token = '' } = await start(database);
    expect(await start(database)).toEqual({});
    expect(await database.reader.count(User)).toBe(1);
    expect(await database.reader.count(ApiToken)).toBe(1);
    expect((await signIn(database, token)).displayName).toBe('Administrator');
  });

  it('does not bring the file back once somebody put it away', async () => {
    const database = await open();
    await start(database);
    rmSync(join(folder, 'admin-token'));
    expect(await start(database)).toEqual({});
    expect(readdirSync(folder)).not.toContain('admin-token');
  });

  it('of several processes at once makes one administrator with one token, told by one of them', async () => {
    await open();
    const racing = [await open(), await open(), await open()];
    const told = await Promise.all(racing.map((database) => start(database)));
    const tokens = told.flatMap(({ token }) => token ?? []);
    expect(tokens).toHaveLength(1);
    const [database] = racing;
    if (database === undefined) throw new Error('no database');
    expect(await database.reader.count(User)).toBe(1);
    expect(await database.reader.count(ApiToken)).toBe(1);
    expect((await signIn(database, tokens[0] ?? '')).displayName).toBe('Administrator');
    expect(readdirSync(folder).filter((name) => name.startsWith('admin-token'))).toEqual(['admin-token']);
  });

  it('goes on after a crash between the file and the database with the token of the file', async () => {
    const { token } = await start(await open());
    await Promise.all(databases.splice(0).map((database) => database.close()));
    await loseDatabase(folder);
    const database = await open();
    expect(await start(database)).toMatchObject({ token });
    expect((await signIn(database, token ?? '')).displayName).toBe('Administrator');
  });

  it('takes the token of the setting instead, writes no file and tells nothing', async () => {
    const database = await open();
    expect(await start(database, GIVEN)).toEqual({});
    expect(readdirSync(folder)).not.toContain('admin-token');
    expect((await signIn(database, GIVEN)).displayName).toBe('Administrator');
  });

  it('is followed by rotation: another token in the setting replaces the one before', async () => {
    const database = await open();
    await start(database, GIVEN);
    await start(database, `${GIVEN}-2`);
    expect((await signIn(database, `${GIVEN}-2`)).displayName).toBe('Administrator');
    await expect(signIn(database, GIVEN)).rejects.toThrow('The token is not valid.');
    expect(await database.reader.count(User)).toBe(1);
  });

  it('leaves a generated token valid when a setting comes later, and the setting when it goes', async () => {
    const database = await open();
    const { token = '' } = await start(database);
    await start(database, GIVEN);
    await start(database);
    expect((await signIn(database, token)).id).toBe((await signIn(database, GIVEN)).id);
  });

  it('of a real server leaves what the second start finds', async () => {
    const env = { SLUICE_ADMIN_TOKEN: '' };
    let token: string;
    {
      await using first = await startSluice({ folder, env });
      token = readFileSync(join(folder, 'admin-token'), 'utf8').trim();
      const { body } = await first.request('{ me { displayName } }', {}, { token });
      expect(body).toEqual({ data: { me: { displayName: 'Administrator' } } });
      expect(JSON.stringify(first.log)).not.toContain(token);
    }
    const files = ['secret.key', 'admin-token'].map((name) => readFileSync(join(folder, name), 'utf8'));
    await using second = await startSluice({ folder, env });
    const { body } = await second.request('{ me { displayName } }', {}, { token });
    expect(body).toEqual({ data: { me: { displayName: 'Administrator' } } });
    expect(['secret.key', 'admin-token'].map((name) => readFileSync(join(folder, name), 'utf8'))).toEqual(
      files,
    );
  });
});

describe('signing in', () => {
  let folder: string;
  let database: Database;
  let token: string;
  const clock = fakeTime();

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-sign-in-'));
    database = await openIn(folder);
    ({ token = '' } = await ensureAdministrator(
      { database, clock },
      { adminToken: undefined, dataFolder: folder },
    ));
  });

  afterEach(async () => {
    await database.close();
    await removeFolder(folder);
  });

  const signIn = async (authorization: string | undefined) =>
    (await authenticate({ database, clock, logger: createLogger('silent') }, authorization)).user;
  /** When the token was last used; asked in a transaction, which comes after those that are under way. */
  const lastUsedAt = () =>
    database.transact(async ({ manager }) =>
      (await manager.findOneByOrFail(ApiToken, { name: 'First start' })).lastUsedAt?.getTime(),
    );

  it.each(['Bearer', 'bearer', 'BEARER'])('works with the scheme written %s', async (scheme) => {
    expect((await signIn(`${scheme} ${token}`)).displayName).toBe('Administrator');
  });

  it.each([
    ['nothing', () => undefined, 'Nobody is signed in.'],
    ['an empty header', () => '', 'Nobody is signed in.'],
    ['another scheme', () => `Basic ${token}`, 'not of the form'],
    ['a token alone', () => token, 'not of the form'],
    ['two tokens', () => `Bearer ${token} ${token}`, 'not of the form'],
    ['no token', () => 'Bearer ', 'not of the form'],
    ['an unknown token', () => 'Bearer somebody-elses-token-0123', 'not valid'],
    ['a mistyped token', () => `Bearer ${token.slice(0, -1)}!`, 'mistyped or cut short'],
    ['a token that was cut', () => `Bearer ${token.slice(0, -3)}`, 'mistyped or cut short'],
    [
      'the hash of the token',
      async () => `Bearer ${(await database.reader.findOneByOrFail(ApiToken, { name: 'First start' })).hash}`,
      'not valid',
    ],
  ])('is refused with %s, and says what to do', async (_what, header, message) => {
    const attempt = signIn(await header());
    await expect(attempt).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining(message) as string,
      remedy: expect.stringMatching(/\w+\.$/) as string,
    });
  });

  it('is refused to a disabled user', async () => {
    await database.transact(({ manager }) => manager.updateAll(User, { disabled: true }));
    await expect(signIn(`Bearer ${token}`)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: 'The user is disabled.',
    });
  });

  it('notes the last use of a token, at most once a minute', async () => {
    expect(await lastUsedAt()).toBeUndefined();
    const first = clock.now();
    await Promise.all(Array.from({ length: 5 }, () => signIn(`Bearer ${token}`)));
    expect(await lastUsedAt()).toBe(first);
    await clock.sleep(59_999);
    await signIn(`Bearer ${token}`);
    expect(await lastUsedAt()).toBe(first);
    await clock.sleep(1);
    await signIn(`Bearer ${token}`);
    expect(await lastUsedAt()).toBe(first + 60_000);
  });

  it('does not wait for that note, nor fail with it', async () => {
    const warnings: object[] = [];
    const busy = { ...database, transact: () => Promise.reject(new Error('disk full')) };
    const logger = createLogger('warn', { write: (line) => warnings.push(JSON.parse(line) as object) });
    const { user } = await authenticate({ database: busy, clock, logger }, `Bearer ${token}`);
    expect(user.displayName).toBe('Administrator');
    expect(warnings).toMatchObject([{ msg: 'the last use of a token was not recorded', error: 'disk full' }]);
  });
});
