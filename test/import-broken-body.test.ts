import { once } from 'node:events';
import { request } from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { importProfiles, type ImportOptions } from '../src/profiles/import.js';
import { refuseRow } from './helpers/damage.js';
import { ImportDoor } from './helpers/import-door.js';

const INTO_SEGMENT: ImportOptions = {
  idColumn: 'id',
  idAttribute: false,
  columns: undefined,
  shortRows: 'limit',
  segmentName: 'all',
  mode: 'merge',
  format: 'csv',
  gzip: false,
};
const ROWS = 20_000;
const rows = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => `p${from + index},${(from + index).toString(36)}`).join(
    '\n',
  );

describe('a body that breaks off', () => {
  let door: ImportDoor;
  beforeEach(async () => {
    door = await ImportDoor.open();
    await door.put('id,a\nold,x\n', { query: 'id=id&segment=all' });
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  const expectSegmentAsItWas = async () => {
    expect(await door.members('all')).toEqual(['old']);
    const { rows: generations, members } = await door.generations();
    expect(generations).toHaveLength(1);
    expect(members).toEqual(generations);
  };

  it('gzip that is whole is unpacked', async () => {
    const { report } = await door.put(gzipSync(`id,a\n${rows(0, ROWS)}\n`), {
      encoding: 'gzip',
      query: 'id=id&segment=all',
    });
    expect(report).toMatchObject({ received: ROWS, stored: ROWS, removed: 1 });
  });

  it('a truncated gzip keeps the complete lines, leaves the segment, and says so', async () => {
    const whole = gzipSync(`id,a\n${rows(0, ROWS)}\n`);
    const { status, failure } = await door.put(whole.subarray(0, whole.length / 2), {
      encoding: 'gzip',
      query: 'id=id&segment=all',
    });
    expect(status).toBe(400);
    expect(failure.message).toMatch(
      /^The gzip body ends before its end: it was cut off. The lines before that count/,
    );
    const report = failure.extensions.report;
    expect(report?.stored).toBeGreaterThan(1_000);
    expect(report).toMatchObject({ received: report?.stored, rejected: 0, removed: 0 });
    expect(Object.keys(await door.profiles())).toHaveLength((report?.stored ?? 0) + 1);
    await expectSegmentAsItWas();
  });

  it('a body that is not gzip although it says so stores nothing', async () => {
    const { status, failure } = await door.put('id,a\n1,x\n', { encoding: 'gzip' });
    expect(status).toBe(400);
    expect(failure.message).toMatch(/^The body is not proper gzip: .* Nothing was stored\.$/);
    expect(Object.keys(await door.profiles())).toEqual(['old']);
  });

  it('an unclosed quote keeps the complete lines in front, leaves the segment, and says so', async () => {
    const { status, failure } = await door.put('id,a\n1,x\n2,"y\n3,z\n', { query: 'id=id&segment=all' });
    expect(status).toBe(400);
    expect(failure.message).toBe(
      'The record that starts on line 3 has a quote that is not closed before the end of the body. ' +
        'The lines before that count: 1 stored, 0 known already, 0 rejected. No segment was changed.',
    );
    expect(Object.keys(await door.profiles())).toEqual(['1', 'old']);
    await expectSegmentAsItWas();
  });

  it.each([
    ['a line', `2,${'x'.repeat(9_000_000)}\n`, 'A line is longer than 8 MB.'],
    ['a quoted field', `2,"${'x\n'.repeat(5_000_000)}"\n`, 'has a quote that is not closed within 8 MB.'],
  ])('%s without end is not gathered for ever', async (_what, endless, message) => {
    const { failure } = await door.put(`id,a\n1,x\n${endless}3,y\n`, { query: 'id=id&segment=all' });
    expect(failure.message).toContain(message);
    await expectSegmentAsItWas();
  });

  it.each<[string, Record<string, string>, Buffer]>([
    ['plain text', {}, Buffer.from(`id,a\n${rows(0, ROWS)}\ntorn-li`)],
    ['gzip', { 'content-encoding': 'gzip' }, gzipSync(`id,a\n${rows(0, 2 * ROWS)}\n`).subarray(0, 100_000)],
  ])(
    'a client that goes away leaves the complete lines and the old segment: %s',
    async (_what, headers, body) => {
      const client = request({
        port: door.port,
        method: 'PUT',
        path: '/profiles?id=id&segment=all',
        headers: { 'content-type': 'text/csv', ...headers },
      });
      client.on('error', () => undefined);
      client.write(body);
      await eventually(async () => Object.keys(await door.profiles()).length > 5_000);
      client.destroy();
      await eventually(async () => (await door.generations()).rows.length === 1);
      const stored = await door.profiles();
      expect(Object.keys(stored).length).toBeGreaterThan(ROWS / 2);
      // Each line was kept whole or not at all.
      for (const [id, { a }] of Object.entries(stored))
        expect(a).toBe(id === 'old' ? 'x' : Number(id.slice(1)).toString(36));
      await expectSegmentAsItWas();
    },
  );

  it('an import that the server ends stores nothing more, and leaves the segment', async () => {
    const end = new AbortController();
    const body = new PassThrough();
    const importing = importProfiles(door.services, INTO_SEGMENT, body, end.signal);
    const failed = expect(importing).rejects.toThrow('The user is disabled.');
    body.write(`id,a\n${rows(0, ROWS)}\n`);
    await once(body, 'drain');
    end.abort(new Error('The user is disabled.'));
    await failed;
    const stored = Object.keys(await door.profiles()).length;
    body.end(`${rows(ROWS, 2 * ROWS)}\n`);
    expect(Object.keys(await door.profiles())).toHaveLength(stored);
    await expectSegmentAsItWas();
  });

  it('a failure of the database ends the import and leaves no half-filled generation', async () => {
    await refuseRow(door.database, { table: 'profiles', id: 'p15000', message: 'disk is gone' });
    const importing = importProfiles(
      door.services,
      INTO_SEGMENT,
      Readable.from([Buffer.from(`id,a\n${rows(0, ROWS)}\n`)]),
    );
    await expect(importing).rejects.toThrow('disk is gone');
    await expectSegmentAsItWas();
  });
});

/** Asks again and again, as quickly as the database answers. */
async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise(setImmediate);
}
