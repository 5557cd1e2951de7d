import { parse } from 'csv-parse/sync';
import { CsvRecords } from '../src/profiles/csv-records.js';
import { ImportDoor } from './helpers/import-door.js';

describe('an import of CSV', () => {
  let door: ImportDoor;
  beforeEach(async () => {
    door = await ImportDoor.open();
  });
  afterEach(async () => {
    await door[Symbol.asyncDispose]();
  });

  it('stores every row under its id, and the id is no attribute', async () => {
    const { status, report } = await door.put('id,email,name\n1,a@x.com,Ann\n2,b@x.com,Bob\n');
    expect(status).toBe(200);
    expect(report).toEqual({
      received: 2,
      stored: 2,
      unchanged: 0,
      rejected: 0,
      removed: 0,
      errors: [],
      warnings: [],
    });
    expect(await door.profiles()).toEqual({
      1: { email: 'a@x.com', name: 'Ann' },
      2: { email: 'b@x.com', name: 'Bob' },
    });
  });

  it('reads quoted commas, line ends and doubled quotes, CRLF, and a byte order mark', async () => {
    await door.put('\ufeffid,note\r\n1,"a, ""b""\r\nc"\r\n2,""\r\n3,plain', {
      type: 'text/csv; charset=UTF-8',
    });
    expect(await door.profiles()).toEqual({
      1: { note: 'a, "b"\r\nc' },
      2: { note: '' },
      3: { note: 'plain' },
    });
  });

  it('takes the id from whichever column is named, and trims ids and names of columns', async () => {
    await door.put(' email , key \na@x.com, k1 \n', { query: 'id=key' });
    expect(await door.profiles()).toEqual({ k1: { email: 'a@x.com' } });
  });

  it('keeps what RFC 4180 keeps: spaces in values', async () => {
    await door.put('id,name\n1, Ann \n');
    expect(await door.profiles()).toEqual({ 1: { name: ' Ann ' } });
  });

  it('counts lines from the header, also behind records of several lines and empty lines', async () => {
    const { report } = await door.put('id,a\n1,"x\ny\nz"\n\n2,x,y\n3,ok\r\n"4","5","6"\n');
    expect(report.errors).toEqual([
      { line: 6, message: 'it has 3 fields, but the header row names 2' },
      { line: 8, message: 'it has 3 fields, but the header row names 2' },
    ]);
    expect(Object.keys(await door.profiles())).toEqual(['1', '3']);
  });

  it('costs only the bad line when quotes are wrong', async () => {
    const { report } = await door.put('id,a\n1,"x"y\n2,5" pipe\n3,"fine"\n4,fine\n');
    expect(report).toMatchObject({ received: 4, stored: 2, rejected: 2 });
    expect(report.errors).toEqual([
      { line: 2, message: 'there is text behind a closing quote' },
      { line: 3, message: 'there is a quote in a field that is not quoted' },
    ]);
  });

  it('reports the first hundred bad lines, and counts them all', async () => {
    const { report } = await door.put(`id,a\n${'x,y,z\n'.repeat(150)}1,fine\n`);
    expect(report).toMatchObject({ received: 151, stored: 1, rejected: 150 });
    expect(report.errors).toHaveLength(100);
    expect(report.errors.at(-1)?.line).toBe(101);
  });

  it('lets the later of two lines count when an id occurs twice', async () => {
    const { report } = await door.put('id,a\n1,old\n2,x\n1,new\n1,new\n');
    expect(report).toMatchObject({ received: 4, stored: 3, unchanged: 1 });
    expect(await door.profiles()).toEqual({ 1: { a: 'new' }, 2: { a: 'x' } });
    expect(await door.attributes()).toEqual({ a: [2, 'old'] });
  });

  it('takes a file that comes in the smallest pieces, cut inside characters and line ends', async () => {
    const bytes = new TextEncoder().encode('id,name\r\n1,"Zoë\r\n😀"\r\n2,Jürgen\r\n');
    const pieces = new ReadableStream({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    const { report } = await door.put(pieces);
    expect(report).toMatchObject({ received: 2, stored: 2 });
    expect(await door.profiles()).toEqual({ 1: { name: 'Zoë\r\n😀' }, 2: { name: 'Jürgen' } });
  });

  it('stores more rows than fit into one transaction, each once', async () => {
    const rows = Array.from({ length: 10_000 }, (_, index) => `p${index},v${index}`);
    const { report } = await door.put(`id,a\n${rows.join('\n')}\n`, { query: 'id=id&segment=all' });
    expect(report).toMatchObject({ received: 10_000, stored: 10_000, unchanged: 0 });
    expect(Object.keys(await door.profiles())).toHaveLength(10_000);
    expect(await door.members('all')).toHaveLength(10_000);
    expect(await door.attributes()).toEqual({ a: [10_000, 'v0'] });
  });
});

describe('the reader of CSV records', () => {
  /** Records as our reader finds them, the text given in pieces of whole lines. */
  const read = (text: string) => {
    const records = new CsvRecords();
    const found = text.split(/(?<=\n)/).flatMap((piece) => records.read(piece));
    records.end();
    return found.map((record) => record.fields);
  };

  it('agrees with csv-parse on a thousand random files', () => {
    const random = seeded(4180);
    const pick = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)] as T;
    const field = () => {
      const value = Array.from({ length: Math.floor(random() * 5) }, () =>
        pick(['a', 'é', ' ', ',', '"', '\n', '\r\n']),
      ).join('');
      const mustQuote = /[,"\r\n]/.test(value);
      return mustQuote || random() < 0.3 ? `"${value.replaceAll('"', '""')}"` : value;
    };
    for (let file = 0; file < 1_000; file += 1) {
      const end = pick(['\n', '\r\n']);
      const lines = Array.from({ length: 5 }, () => `x,${field()},${field()}${end}`);
      const text = lines.join('');
      const expected = parse(text, { record_delimiter: end, relax_column_count: true });
      expect(read(text)).toEqual(expected);
    }
  });
});

/** The same random numbers each time (a linear congruential generator). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}
