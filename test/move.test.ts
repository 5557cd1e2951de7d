import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import { Profile } from '../src/entities/profile.js';
import type { MoveStep } from '../src/moving/move.js';
import { readPages, sizeOf } from '../src/moving/read-pages.js';
import { tablesOf } from '../src/moving/tables.js';
import { dataModel } from '../src/server/data-model.js';
import { moveServer } from '../src/server/move.js';
import { connectionCalls } from './helpers/connection-calls.js';
import { connectIn, openIn, tamper } from './helpers/databases.js';
import { exportOf, finish, held, imports, people, runFully, wanted } from './helpers/engine.js';
import { connectedConnection, startRun } from './helpers/flows.js';
import { createPostgresDatabase, type PostgresDatabase } from './helpers/postgres.js';
import { startProgram } from './helpers/program.js';
import { addOddTexts, makeRichWorld } from './helpers/rich-world.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, temporaryFolder } from './helpers/sluice.js';
import { call } from './helpers/trigger-calls.js';

/** As `npm run build` leaves it; `npm test` builds first. */
const PROGRAM = 'dist/src/move.js';

interface Ended {
  /** Null: by a signal. */
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

function start(args: readonly string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, [PROGRAM, ...args], { env: {}, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
    ([[code], output, errors]) => ({ code: code as number | null, output, errors }),
  );
  return { child, ended };
}

const fileIn = (folder: string) => join(folder, 'sluice.db');

/** Runs `npm run move` from the file of a data folder. */
const move = (folder: string, url: string, ...flags: string[]) =>
  start([`sqlite:${fileIn(folder)}`, url, ...flags]).ended;

/** A data folder of a server that has two users, three profiles, and is down. */
async function smallFolder() {
  const folder = await temporaryFolder();
  await using sluice = await startSluice({ folder: folder.path });
  await sluice.importCsv('id,email\n1,a@example.com\n2,b@example.com\n3,c@example.com\n', { segment: 'All' });
  return folder;
}

/** Asks Postgres as an administrator of it would. */
async function ask<Row extends pg.QueryResultRow>({ url }: PostgresDatabase, sql: string): Promise<Row[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

type Rows = Readonly<Record<string, unknown>>[];

/** What lies in every table of the file, whoever knows of it, except the list of migrations. */
async function storedInFile(folder: string): Promise<Map<string, Rows>> {
  await using source = await connectIn(folder);
  const names = await source.query<{ name: string }[]>(
    `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'migrations' ORDER BY name`,
  );
  const stored = new Map<string, Rows>();
  for (const { name } of names) stored.set(name, sorted(await source.query<Rows>(`SELECT * FROM "${name}"`)));
  return stored;
}

async function storedInPostgres(database: PostgresDatabase): Promise<Map<string, Rows>> {
  const names = await ask<{ name: string }>(
    database,
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migrations'
     ORDER BY tablename COLLATE "C"`,
  );
  const stored = new Map<string, Rows>();
  for (const { name } of names) stored.set(name, sorted(await ask(database, `SELECT * FROM "${name}"`)));
  return stored;
}

/** Rows in an order that does not depend on the database, with flags as SQLite has them. */
function sorted(rows: Rows): Rows {
  const plain = rows.map((row) =>
    Object.fromEntries(
      Object.entries(row)
        .map(([name, value]) => [name, typeof value === 'boolean' ? Number(value) : value] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
  );
  return plain.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

async function expectEmpty(database: PostgresDatabase): Promise<void> {
  const stored = await storedInPostgres(database);
  expect(stored.size).toBe(dataModel.entities.length);
  expect([...stored].filter(([, rows]) => rows.length > 0)).toEqual([
    ['audit_retention', [{ id: 1, days: 400 }]],
  ]);
}

describe('npm run move', () => {
  it('moves everything, so that tokens, secrets, triggers and ledgers work there as before', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    await using database = await createPostgresDatabase();
    const world = await (async () => {
      await using sluice = await startSluice({ folder: folder.path, sandbox });
      return await makeRichWorld(sluice, sandbox);
    })();
    await addOddTexts(folder.path);
    const before = await storedInFile(folder.path);
    // Only processes that share a Postgres have rows there.
    const isEmpty = [...before].filter(([, rows]) => rows.length === 0).map(([name]) => name);
    expect(isEmpty).toEqual(['account_calls']);

    const { code, output, errors } = await move(folder.path, database.url);
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(await storedInPostgres(database)).toEqual(before);
    expect(await storedInFile(folder.path)).toEqual(before);
    expect(output).toMatch(/^ {2}copying {3}users +100 % +2 rows$/m);
    expect(output).toMatch(/^ {2}verifying users +100 % +2 rows$/m);
    expect(output).toContain(`SLUICE_DATA_FOLDER=${folder.path}\n`);

    await using sluice = await startSluice({
      folder: folder.path,
      sandbox,
      env: { DATABASE_URL: database.url },
    });
    expect(sluice.log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
    const viewer = sluice.as(world.viewerToken);
    expect(await viewer.query('{ segments { nodes { name } } }')).toMatchObject({
      segments: { nodes: [{}, {}] },
    });
    expect(await connectionCalls(sluice).connect(world.connectionId)).toMatchObject({ state: 'CONNECTED' });
    expect((await call(sluice, world.trigger, 'call-1')).body).toEqual({
      runId: world.triggeredRunId,
      duplicate: true,
    });
    await sluice.importCsv('id,email\n9,new@example.com\n', { segment: 'More' });
    expect(await runFully(sluice, world.exportId)).toMatchObject({ progress: { unchanged: 3, toSend: 0 } });
  }, 60_000);

  it('counts ids on from where the file was, also where the last ones are gone', async () => {
    await using folder = await smallFolder();
    await using database = await createPostgresDatabase();
    await tamper(folder.path, `UPDATE sqlite_sequence SET "seq" = 41 WHERE "name" = 'segment_generations'`);
    expect(await move(folder.path, database.url)).toMatchObject({ code: 0 });
    expect(
      await ask(
        database,
        `SELECT nextval(pg_get_serial_sequence('segment_generations', 'id'))::int AS "next"`,
      ),
    ).toEqual([{ next: 42 }]);
    // Never used: from the beginning.
    expect(
      await ask(database, `SELECT nextval(pg_get_serial_sequence('batches', 'id'))::int AS "next"`),
    ).toEqual([{ next: 1 }]);
  });

  it('lets a run whose server was killed go on there, and end right', async () => {
    const BATCHES = 40;
    const count = 250 * BATCHES;
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    await using database = await createPostgresDatabase();
    let id: string;
    {
      await using program = await startProgram(folder.path, sandbox);
      const connectionId = await connectedConnection(program.sluice, sandbox);
      const exportId = await exportOf({ sluice: program.sluice, connectionId }, people(count));
      const gone = sandbox
        .next('accepted', () => sandbox.batches().length === 5)
        .then(() => program.kill('SIGKILL'));
      id = await startRun(program.sluice, exportId);
      expect(await gone).toBeNull();
    }
    expect(imports(sandbox).length).toBeLessThan(BATCHES);
    expect(await move(folder.path, database.url)).toMatchObject({ code: 0 });

    const env = { DATABASE_URL: database.url, SLUICE_DATA_FOLDER: folder.path };
    await using again = await startProgram(folder.path, sandbox, { env });
    expect(await finish(again.sluice, id)).toMatchObject({
      state: 'SUCCEEDED',
      problem: null,
      attempt: 2,
      progress: { members: count, toSend: count, confirmed: count, notSent: 0 },
    });
    expect(held(sandbox)).toEqual(wanted(count));
    expect(sandbox.summary().invariants.overlapsNotExcused).toBe(0);
    // At most what was under way is sent twice: sixteen requests at once.
    expect(imports(sandbox).length).toBeLessThanOrEqual(BATCHES + 16);
  }, 60_000);

  it('answers programs with one JSON object: the tables with their checksums, and the settings', async () => {
    await using folder = await smallFolder();
    await using database = await createPostgresDatabase();
    const { code, output } = await move(folder.path, database.url, '--json');
    const { tables, settings } = JSON.parse(output) as {
      tables: { table: string; rows: number; checksum: string }[];
      settings: object;
    };
    expect(code).toBe(0);
    expect(tables.map(({ table }) => table).sort()).toEqual([...(await storedInFile(folder.path)).keys()]);
    expect(tables.find(({ table }) => table === 'profiles')).toEqual({
      table: 'profiles',
      rows: 3,
      checksum: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    expect(settings).toEqual({
      DATABASE_URL: expect.stringContaining(new URL(database.url).pathname) as string,
      SLUICE_DATA_FOLDER: folder.path,
    });
    expect(output).not.toContain(`:${new URL(database.url).password}@`);
  });

  it('asks for the secret key where it is not in the data folder', async () => {
    await using folder = await temporaryFolder();
    await using database = await createPostgresDatabase();
    {
      const env = { SLUICE_SECRET_KEY: Buffer.alloc(32, 7).toString('base64') };
      await using sluice = await startSluice({ folder: folder.path, env });
      await connectionCalls(sluice).create({ host: 'a.api-us1.com', apiKey: 'some-key' });
    }
    const { code, output } = await move(folder.path, database.url);
    expect(code).toBe(0);
    expect(output).toContain('give the same SLUICE_SECRET_KEY again');
    expect(output).not.toContain('SLUICE_DATA_FOLDER=');
  });

  it('brings a file of an earlier version up to date first', async () => {
    await using folder = await smallFolder();
    await using database = await createPostgresDatabase();
    {
      await using source = await connectIn(folder.path, dataModel);
      await source.undoLastMigration();
    }
    expect(await move(folder.path, database.url)).toMatchObject({ code: 0 });
    expect(await storedInPostgres(database)).toEqual(await storedInFile(folder.path));
  });
});

describe('the pages that are read', () => {
  it('hold fewer rows the heavier these are, and every row once, in the order of the key', async () => {
    await using folder = await temporaryFolder();
    await using database = await openIn(folder.path);
    const letters = 'abcdefg'.split('');
    await database.transact(({ manager }) =>
      manager.insert(
        Profile,
        letters.map((id) => ({ id, attributes: { note: 'ä'.repeat(400_000) } })),
      ),
    );
    const [table] = tablesOf([database.reader.connection.getMetadata(Profile)], []);
    if (table === undefined) throw new Error('There is no table.');
    const size = await sizeOf(database.scanner, table);
    // In bytes of UTF-8, around which JSON has its own: {"note":""}.
    expect(size).toEqual({ rows: 7, largestRow: 1 + 2 * 400_000 + 11 });
    const pages: unknown[][] = [];
    for await (const page of readPages(database.scanner, table, size)) pages.push(page.map(({ id }) => id));
    expect(pages).toEqual([['a', 'b'], ['c', 'd'], ['e', 'f'], ['g']]);
  });
});

describe('npm run move refuses', () => {
  it('a target that has rows, and leaves them as they are', async () => {
    await using folder = await smallFolder();
    await using database = await createPostgresDatabase();
    await ask(database, `INSERT INTO "profiles" ("id", "attributes") VALUES ('1', '{}')`);
    const { code, errors } = await move(folder.path, database.url);
    expect(code).toBe(1);
    expect(errors).toContain('✘ The target is not empty: it has rows in profiles.\nOnly an empty database');
    expect((await storedInPostgres(database)).get('profiles')).toEqual([{ id: '1', attributes: '{}' }]);
    expect((await storedInPostgres(database)).get('users')).toEqual([]);
  });

  it('a target that belongs to another program', async () => {
    await using folder = await smallFolder();
    await using database = await createPostgresDatabase();
    await ask(database, 'DROP TABLE "migrations"');
    const { code, errors } = await move(folder.path, database.url);
    expect(code).toBe(1);
    expect(errors).toMatch(/The target is not empty: it has a table \w+ that is not of Sluice/);
  });

  it('a file with which a server works', async () => {
    await using folder = await temporaryFolder();
    await using database = await createPostgresDatabase();
    await using sluice = await startSluice({ folder: folder.path });
    const { code, output } = await move(sluice.folder, database.url, '--json');
    expect(code).toBe(1);
    expect(JSON.parse(output)).toEqual({
      error: {
        message: `A server works with ${fileIn(folder.path)}.`,
        remedy: expect.stringMatching(/^Stop it first/) as string,
      },
    });
    await expectEmpty(database);
  });

  it('a file that does not exist, without making it', async () => {
    await using folder = await temporaryFolder();
    await using database = await createPostgresDatabase();
    const { code, errors } = await move(folder.path, database.url);
    expect(code).toBe(1);
    expect(errors).toContain('There is no file');
    expect(existsSync(fileIn(folder.path))).toBe(false);
  });

  it('a Postgres that cannot be reached, without showing the password', async () => {
    await using folder = await smallFolder();
    const { code, errors } = await move(folder.path, 'postgres://me:hush@127.0.0.1:1/sluice');
    expect(code).toBe(1);
    expect(errors).toMatch(/postgres:\/\/me:\*\*\*@127\.0\.0\.1:1\/sluice cannot be reached: .*ECONNREFUSED/);
    expect(errors).not.toContain('hush');
  });

  it.each([
    [['sqlite:./a.db']],
    [['postgres://a/b', 'sqlite:./a.db']],
    [['./a.db', 'postgres://a/b']],
    [['sqlite:./a.db', 'postgres://a/b', '--fast']],
  ])('what it does not understand, with exit code 2: %j', async (args) => {
    const { code, output, errors } = await start(args).ended;
    expect({ code, output }).toEqual({ code: 2, output: '' });
    expect(errors).toMatch(/^move: .+ \(--help tells what there is\)\n$/);
  });

  it.each([
    [
      'a NUL character, which Postgres cannot hold',
      `UPDATE "profiles" SET "attributes" = 'a' || char(0) WHERE "id" = '2'`,
      /column attributes of a row in profiles has a NUL character, .*: "id" = '2'\.\nCorrect it in the SQLite file/,
    ],
    [
      'a flag that is neither yes nor no',
      `UPDATE "users" SET "disabled" = 2`,
      /column disabled of a row in users is neither 0 nor 1: "id" = '/,
    ],
    [
      'a value of another kind',
      `UPDATE "profiles" SET "attributes" = x'00ff' WHERE "id" = '3'`,
      /column attributes of a row in profiles has a value of another kind: "id" = '3'/,
    ],
    [
      'a number that is too large for Postgres',
      `UPDATE "segments" SET "memberCount" = 3000000000`,
      /row of segments in the column memberCount: value "3000000000" is out of range [^]*\(SELECT \* FROM "segments" ORDER BY "id" LIMIT 1 OFFSET 0 shows it\)/,
    ],
  ])('%s, and names the row', async (_, damage, message) => {
    await using folder = await smallFolder();
    await using database = await createPostgresDatabase();
    await tamper(folder.path, damage);
    const { code, errors } = await move(folder.path, database.url);
    expect(code).toBe(1);
    expect(errors).toMatch(message);
    await expectEmpty(database);
  });
});

describe('what does not arrive as it is', () => {
  it.each([
    ['another value', `NEW."attributes" = '{}'; RETURN NEW;`, 'have different checksums'],
    [
      'a row less',
      `IF NEW."id" = '2' THEN RETURN NULL; END IF; RETURN NEW;`,
      '3 were read, Postgres holds 2',
    ],
  ])('rolls everything back: %s', async (_, body, message) => {
    await using folder = await smallFolder();
    await using database = await createPostgresDatabase();
    await ask(
      database,
      `CREATE FUNCTION "damage"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$`,
    );
    await ask(
      database,
      'CREATE TRIGGER "damage" BEFORE INSERT ON "profiles" FOR EACH ROW EXECUTE FUNCTION "damage"()',
    );
    const { code, errors } = await move(folder.path, database.url);
    expect(code).toBe(1);
    expect(errors).toContain('The table profiles did not arrive as it is');
    expect(errors).toContain(message);
    await expectEmpty(database);
  });
});

/** Who waits for a lock, in this database. */
const WAITING =
  'FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())';

/** A move that waits at the profiles until something has happened to it. */
async function interrupted(
  folder: string,
  database: PostgresDatabase,
  happen: (child: ChildProcess, blocker: pg.Client) => Promise<void>,
): Promise<Ended> {
  const blocker = new pg.Client(database.url);
  await blocker.connect();
  try {
    await blocker.query('BEGIN');
    await blocker.query('LOCK TABLE "profiles" IN EXCLUSIVE MODE');
    const { child, ended } = start([`sqlite:${fileIn(folder)}`, database.url]);
    for (let isWaiting = false; !isWaiting && child.exitCode === null;) {
      const { rowCount } = await blocker.query(`SELECT ${WAITING}`);
      isWaiting = rowCount !== 0;
    }
    await happen(child, blocker);
    await blocker.query('ROLLBACK');
    return await ended;
  } finally {
    await blocker.end();
  }
}

describe('a move that is broken off', () => {
  it.each(['copying', 'verifying'] as const)('while %s leaves the target empty', async (phase) => {
    await using folder = await smallFolder();
    await using database = await createPostgresDatabase();
    const cancel = new AbortController();
    const steps: MoveStep[] = [];
    const moving = moveServer({
      from: { kind: 'sqlite', file: fileIn(folder.path) },
      to: { kind: 'postgres', url: database.url },
      signal: cancel.signal,
      onStep: (step) => {
        steps.push(step);
        if (step.phase === phase && step.table === 'api_tokens') cancel.abort(new Error('enough'));
      },
    });
    await expect(moving).rejects.toThrow('enough');
    // An early table: nothing of the later ones was touched.
    expect(steps.at(-1)).toMatchObject({ phase, table: 'api_tokens' });
    await expectEmpty(database);
    // Nothing is left locked, either.
    expect(await move(folder.path, database.url)).toMatchObject({ code: 0 });
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGKILL', null],
  ] as const)('by %s in the middle leaves the target empty', async (signal, expected) => {
    await using folder = await smallFolder();
    await using database = await createPostgresDatabase();
    const { code, errors } = await interrupted(folder.path, database, async (child) => {
      child.kill(signal);
      if (signal === 'SIGKILL') await once(child, 'exit');
    });
    expect(code).toBe(expected);
    if (expected !== null) expect(errors).toContain('Cancelled: the target is empty');
    await expectEmpty(database);
  });

  it('by the loss of the connection says so, and leaves the target empty', async () => {
    await using folder = await smallFolder();
    await using database = await createPostgresDatabase();
    const { code, errors } = await interrupted(folder.path, database, async (_, blocker) => {
      await blocker.query(`SELECT pg_terminate_backend(pid) ${WAITING}`);
    });
    expect(code).toBe(1);
    expect(errors).toMatch(
      /✘ The move broke off: terminating connection .*\nThe file is as it was\. Mend the cause/,
    );
    await expectEmpty(database);
  });
});
