import { read } from 'node:fs';
import { open, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { newId } from './ids.js';

/*
 * An external merge sort, for what does not fit into memory: entries are sorted in chunks, the chunks are written into a
 * file block by block, and all chunks are read side by side, of each one block at a time.
 */

/** Entries of one chunk. Small, because sorting and writing one keeps everybody else waiting: some 10 ms. */
const CHUNK = 12_000;
/** Entries of one block: what is in memory of each chunk while all of them are read. */
const BLOCK = 250;

/** Entries that are written into text without a pause, for whoever else waits: some 3 ms. */
const BREATH = 3_000;

/** Takes a fraction of the time of the file handle's own method, of which a million entries need four thousand. */
const readAt = promisify(read);

/** Where a block lies in the file: a JSON array. */
interface Block {
  readonly at: number;
  readonly bytes: number;
}

/** Entries, which must be JSON values, on their way into another order. */
export interface SortedSpill<Entry> {
  readonly add: (entries: readonly Entry[]) => Promise<void>;
  /** Everything that was added, sorted, in pages of whatever size. */
  readonly pages: () => AsyncGenerator<Entry[]>;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
}

/**
 * Makes an empty spill. Its file has no name from the start on: it vanishes with the process, however that ends.
 * @param directory on a disk that has room for the entries.
 * @param compare a total order: no two entries may be equal.
 */
export async function openSortedSpill<Entry>(
  directory: string,
  compare: (a: Entry, b: Entry) => number,
): Promise<SortedSpill<Entry>> {
  const path = join(directory, `.spill-${newId()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  const chunks: Block[][] = [];
  let unsorted: Entry[] = [];
  let size = 0;

  const writeChunk = async () => {
    const sorted = unsorted.sort(compare);
    unsorted = [];
    const blocks: Block[] = [];
    const texts: Buffer[] = [];
    for (let from = 0; from < sorted.length; from += BLOCK) {
      if (from % BREATH === 0) await setImmediate();
      const text = Buffer.from(JSON.stringify(sorted.slice(from, from + BLOCK)));
      blocks.push({ at: size, bytes: text.length });
      texts.push(text);
      size += text.length;
    }
    chunks.push(blocks);
    await file.appendFile(Buffer.concat(texts));
  };

  return {
    add: async (entries) => {
      for (const entry of entries) unsorted.push(entry);
      if (unsorted.length >= CHUNK) await writeChunk();
    },
    pages: async function* () {
      if (unsorted.length > 0) await writeChunk();
      yield* merge(
        chunks.map((blocks) => new ChunkReader(file, blocks, compare)),
        compare,
      );
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

/**
 * Up to the least of the last entries in memory nothing can be missing. The sort finds the runs that the chunks are, and
 * only merges them.
 */
async function* merge<Entry>(
  readers: readonly ChunkReader<Entry>[],
  compare: (a: Entry, b: Entry) => number,
): AsyncGenerator<Entry[]> {
  for (;;) {
    for (const reader of readers) if (reader.last === undefined) await reader.readOn();
    const lasts = readers.flatMap(({ last }) => (last === undefined ? [] : [last]));
    const [first, ...others] = lasts;
    if (first === undefined) return;
    const bound = others.reduce((least, last) => (compare(last, least) < 0 ? last : least), first);
    yield readers.flatMap((reader) => reader.takeUpTo(bound)).sort(compare);
  }
}

class ChunkReader<Entry> {
  private entries: readonly Entry[] = [];
  private blocksAsked = 0;
  /** The next block, which is read while the one before is used; undefined: there is none. */
  private coming = this.ask();

  constructor(
    private readonly file: FileHandle,
    private readonly blocks: readonly Block[],
    private readonly compare: (a: Entry, b: Entry) => number,
  ) {}

  /** The last entry in memory; undefined: there is none. */
  get last(): Entry | undefined {
    return this.entries.at(-1);
  }

  /** Goes on to the next block, if there is one. */
  async readOn(): Promise<void> {
    if (this.coming === undefined) return;
    const { buffer } = await this.coming;
    this.coming = this.ask();
    this.entries = JSON.parse(buffer.toString()) as Entry[];
  }

  private ask(): Promise<{ buffer: Buffer }> | undefined {
    const block = this.blocks[this.blocksAsked];
    if (block === undefined) return undefined;
    this.blocksAsked += 1;
    const reading = readAt(this.file.fd, Buffer.allocUnsafe(block.bytes), 0, block.bytes, block.at);
    // It may fail when nobody waits for it any more; whoever does will hear of it.
    reading.catch(() => undefined);
    return reading;
  }

  takeUpTo(bound: Entry): readonly Entry[] {
    const behind = this.entries.findIndex((entry) => this.compare(entry, bound) > 0);
    const count = behind < 0 ? this.entries.length : behind;
    const taken = this.entries.slice(0, count);
    this.entries = this.entries.slice(count);
    return taken;
  }
}
