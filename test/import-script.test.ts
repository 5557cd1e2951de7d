import { writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { UsageError } from '../scripts/client/failure.js';
import { readOptions } from '../scripts/import/options.js';
import { lineOf, runScript, startScript } from './helpers/script.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';
import { startStub } from './helpers/stub-destination.js';

const CSV = 'id,email\n1,ann@example.com\n2,bob@example.com\n3,c@example.com,x\n';

describe('npm run import', () => {
  let sluice: Sluice;
  beforeAll(async () => {
    sluice = await startSluice();
  });
  afterAll(() => sluice.stop());

  const importOf = async (name: string, content: string | Buffer, ...args: string[]) => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/${name}`;
    await writeFile(path, content);
    return await runScript('import', [path, '--url', sluice.url, '--token', sluice.token, ...args]);
  };

  const membersOf = async (name: string) => {
    const { segments } = await sluice.query<{ segments: { nodes: { name: string; memberCount: number }[] } }>(
      '{ segments { nodes { name memberCount } } }',
    );
    return segments.nodes.find((segment) => segment.name === name)?.memberCount;
  };

  it('stores a file and its segment, and shows the figures and the rejected lines', async () => {
    const { code, output, errors } = await importOf('a.csv', CSV, '--id', 'id', '--segment', 'Readers');
    expect(output).toContain('sending 100 %');
    expect(output).toMatch(/lines +3\n +stored +2 .*\n +known already +0\n +rejected +1\n/);
    expect(output).toContain('line 4: it has 3 fields, but the header row names 2');
    expect({ code, errors, members: await membersOf('Readers') }).toEqual({
      code: 0,
      errors: '',
      members: 2,
    });
  });

  it('passes on which columns are read, that the id is an attribute, and that rows may be short', async () => {
    const file = 'Email,Name,Note,Tags\nann@x.com,Ann,secret\nbob@x.com,Bob\n';
    const flags = ['--id', 'Email', '--id-attribute', '--columns', 'Name,Tags', '--short', 'pad'];
    const { code, output } = await importOf('s.csv', file, ...flags, '--json');
    expect(JSON.parse(output)).toMatchObject({ stored: 2, errors: [] });
    expect(code).toBe(0);
    const { profileAttributes } = await sluice.query<{
      profileAttributes: { name: string; filled: number; sample: string | null }[];
    }>('{ profileAttributes { name filled sample } }');
    expect(profileAttributes).toEqual(
      expect.arrayContaining([
        { name: 'Email', filled: 2, sample: 'ann@x.com' },
        { name: 'Name', filled: 2, sample: 'Ann' },
      ]),
    );
    expect(profileAttributes.map(({ name }) => name)).not.toContain('Note');
  });

  it('answers programs with one JSON object', async () => {
    const { code, output } = await importOf(
      'b.ndjson.gz',
      gzipSync('{"key":"b1","x":1}\n'),
      '--id',
      'key',
      '--json',
    );
    expect(JSON.parse(output)).toEqual({
      ...{ received: 1, stored: 1, unchanged: 0, rejected: 0, removed: 0 },
      errors: [],
      warnings: [],
    });
    expect(code).toBe(0);
  });

  it('reads standard input, and takes address and token from the environment', async () => {
    const env = { SLUICE_URL: sluice.url, SLUICE_TOKEN: sluice.token };
    const args = ['-', '--format', 'csv', '--id', 'id', '--mode', 'replace', '--json'];
    const { code, output } = await runScript('import', args, { env, input: 'id,y\nc1,1\n' });
    expect(JSON.parse(output)).toMatchObject({ received: 1, stored: 1 });
    expect(code).toBe(0);
  });

  it("finds the token of the server's first start in its folder", async () => {
    await using folder = await temporaryFolder();
    const fresh = await startSluice({
      folder: folder.path,
      env: { SLUICE_DATA_FOLDER: `${folder.path}/data`, SLUICE_ADMIN_TOKEN: '' },
    });
    const args = ['-', '--format', 'csv', '--id', 'id', '--url', fresh.url, '--json'];
    const { code, output } = await runScript('import', args, { input: CSV, folder: folder.path });
    expect(JSON.parse(output)).toMatchObject({ stored: 2 });
    expect(code).toBe(0);
    const elsewhere = await runScript('import', args, { input: CSV });
    await fresh.stop();
    expect(JSON.parse(elsewhere.output)).toMatchObject({
      error: { message: expect.stringMatching(/no token/) as string },
    });
    expect(elsewhere.code).toBe(1);
  });

  it('says why a file is refused, and what of it is stored', async () => {
    const { code, errors } = await importOf('d.csv', 'id,z\nd1,1\nd2,1,1\nd3,"open\n', '--id', 'id');
    expect(errors).toContain('✘ The record that starts on line 4 has a quote that is not closed');
    expect(errors).toContain('1 stored, 0 known already, 1 rejected');
    expect(errors).toContain('    line 3: it has 3 fields');
    expect(code).toBe(1);
    const json = await importOf('e.csv', 'id,z\n', '--id', 'key', '--json');
    expect(JSON.parse(json.output)).toMatchObject({
      error: { message: 'The file has no column "key"; its columns are "id", "z".', report: null },
    });
    expect(json.code).toBe(1);
  });

  it('asks whether the server runs when nobody answers', async () => {
    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
    listener.close();
    const { code, errors } = await importOf('f.csv', CSV, '--id', 'id', '--url', url);
    expect(errors).toBe(`\n✘ Nobody answers at ${url}.\nIs the server running? Start it with: npm start\n`);
    expect(code).toBe(1);
  });

  it.each(['{"message":"Forbidden"}', '<html></html>', '{"errors":[]}', 'null'])(
    'says so when another program answers: %s',
    async (body) => {
      const stranger = await startStub(() => ({ status: 403, body }));
      const url = `http://${stranger.host}`;
      const { code, errors } = await importOf('i.csv', CSV, '--id', 'id', '--url', url);
      await stranger.close();
      expect(errors).toBe(
        `\n✘ The answer 403 is none of Sluice's: ${body}\nCheck that the address is that of a Sluice server.\n`,
      );
      expect(code).toBe(1);
    },
  );

  it('stops at Ctrl-C in the middle of a file and says what that means', async () => {
    const args = ['-', '--format', 'csv', '--id', 'id', '--segment', 'Torn', '--url', sluice.url];
    const script = startScript('import', [...args, '--token', sluice.token]);
    script.process.stdin.write('id,y\ng1,1\n');
    await lineOf(script, /sending/);
    script.process.kill('SIGINT');
    const { code, errors } = await script.finished;
    expect(errors).toBe('\nStopped. Lines that had arrived are stored; no segment was changed.\n');
    expect({ code, members: await membersOf('Torn') }).toEqual({ code: 130, members: undefined });
  });

  it.each([
    [[], 'Which file?'],
    [['a.csv'], '--id COLUMN is needed'],
    [['a.csv', 'b.csv', '--id', 'id'], 'One file at a time'],
    [['a.xlsx', '--id', 'id'], 'expected .csv'],
    [['-', '--id', 'id'], '--format csv or --format ndjson'],
    [['a.csv', '--id', 'id', '--format', 'xml'], '--format is csv or ndjson, not "xml"'],
    [['a.csv', '--id', 'id', '--mode', 'drop'], '--mode is merge or replace, not "drop"'],
    [['a.csv', '--id', 'id', '--short', 'drop'], '--short is pad, not "drop"'],
    [['a.csv', '--id', 'id', '--segmnet', 'x'], '--segmnet'],
  ])('refuses %j', (args, message) => {
    expect(() => readOptions(args)).toThrow(UsageError);
    expect(() => readOptions(args)).toThrow(message);
  });

  it('ends with 2 when the command line is wrong', async () => {
    const { code, errors } = await importOf('h.csv', CSV, '--id', 'id', '--url', 'localhost:4000');
    expect(errors).toMatch(
      /^import: --url wants an address like http:[^\n]+\(--help tells what there is\)\n$/,
    );
    expect(code).toBe(2);
  });
});
