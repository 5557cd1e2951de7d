import { open, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { compareUtf8 } from '../bulk-sql.js';
import { newId } from '../ids.js';
import type { WantedMember } from './mapping.js';

/*
 * Members come in the order of their ids, the ledger lies in the order of e-mail keys, and a million do not fit into
 * memory. So they are sorted in chunks, the chunks are written into a file, and all chunks are read side by side
 * (an external merge sort).
 */

/** Members of one chunk: some 15 MB while they are sorted. */
const CHUNK = 50_000;
/** What is in memory of each chunk while all of them are read. */
const BLOCK_BYTES = 64 * 1024;

/** Members on their way from the order of ids into the order of e-mail keys. */
export interface Spill {
  readonly add: (members: readonly WantedMember[]) => Promise<void>;
  /** Everything that was added, in pages, by e-mail key and then profile id in the order of UTF-8 bytes. */
  readonly pages: () => AsyncGenerator<WantedMember[]>;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
}

/**
 * Makes an empty spill. Its file has no name from the start on: it vanishes with the process, however that ends.
 * @param directory on a disk that has room for some 100 bytes a member.
 */
export async function openSpill(directory: string): Promise<Spill> {
  const path = join(directory, `.spill-${newId()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  const chunks: { from: number; to: number }[] = [];
  let unsorted: WantedMember[] = [];
  let size = 0;

  const writeChunk = async () => {
    unsorted.sort(compareMembers);
    const lines = unsorted.map(({ emailKey, profileId, wanted }) =>
      JSON.stringify([emailKey, profileId, wanted]),
    );
    const bytes = Buffer.from(`${lines.join('\n')}\n`);
    unsorted = [];
    await file.write(bytes, 0, bytes.length, size);
    chunks.push({ from: size, to: size + bytes.length });
    size += bytes.length;
  };

  return {
    add: async (members) => {
      for (const member of members) unsorted.push(member);
      if (unsorted.length >= CHUNK) await writeChunk();
    },
    pages: async function* () {
      if (unsorted.length > 0) await writeChunk();
      yield* merge(chunks.map((chunk) => createReader(file, chunk)));
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

/**
 * Merges sorted chunks: up to the smallest of the last keys in memory nothing can be missing. The sort finds the runs
 * that the chunks are and only merges them.
 */
async function* merge(readers: ChunkReader[]): AsyncGenerator<WantedMember[]> {
  for (;;) {
    await Promise.all(readers.map((reader) => reader.fill()));
    const lasts = readers.flatMap((reader) => reader.last() ?? []);
    if (lasts.length === 0) return;
    const bound = lasts.reduce((least, last) => (compareMembers(last, least) < 0 ? last : least));
    yield readers.flatMap((reader) => reader.takeUpTo(bound)).sort(compareMembers);
  }
}

interface ChunkReader {
  /** Makes sure that something is in memory, unless the chunk is at its end. */
  readonly fill: () => Promise<void>;
  /** The last member in memory. */
  readonly last: () => WantedMember | undefined;
  readonly takeUpTo: (bound: WantedMember) => WantedMember[];
}

function createReader(file: FileHandle, { from, to }: { from: number; to: number }): ChunkReader {
  let at = from;
  let members: WantedMember[] = [];

  return {
    fill: async () => {
      for (let wish = BLOCK_BYTES; members.length === 0 && at < to; wish *= 2) {
        const block = Buffer.allocUnsafe(Math.min(wish, to - at));
        const { bytesRead } = await file.read(block, 0, block.length, at);
        // Whole lines only: the rest comes with the next block. A line may be longer than a block.
        const whole = block.subarray(0, block.lastIndexOf(0x0a, bytesRead - 1) + 1);
        members = parseLines(whole.toString());
        at += whole.length;
      }
    },
    last: () => members.at(-1),
    takeUpTo: (bound) => {
      let count = members.length;
      while (count > 0 && compareMembers(members[count - 1] ?? bound, bound) > 0) count -= 1;
      return members.splice(0, count);
    },
  };
}

function parseLines(lines: string): WantedMember[] {
  if (lines === '') return [];
  const rows = JSON.parse(`[${lines.slice(0, -1).replaceAll('\n', ',')}]`) as [string, string, string][];
  return rows.map(([emailKey, profileId, wanted]) => ({ emailKey, profileId, wanted }));
}

function compareMembers(a: WantedMember, b: WantedMember): number {
  return compareUtf8(a.emailKey, b.emailKey) || compareUtf8(a.profileId, b.profileId);
}
