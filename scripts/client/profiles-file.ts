import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { Failure, messageOf, UsageError } from './failure.js';

export type Format = 'csv' | 'ndjson';

/** A file of profiles, known by its name. */
export interface ProfilesFile {
  readonly path: string;
  readonly format: Format;
  readonly gzip: boolean;
  /** As it lies on the disk. */
  readonly bytes: number;
}

const FORMATS: readonly (readonly [RegExp, Format])[] = [
  [/\.csv$/i, 'csv'],
  [/\.(?:ndjson|jsonl)$/i, 'ndjson'],
];

/** @throws {UsageError} if the extension says nothing and no format is given. */
export function kindOfFile(path: string, format?: Format): { format: Format; gzip: boolean } {
  const gzip = /\.gz$/i.test(path);
  const name = gzip ? path.slice(0, -'.gz'.length) : path;
  const found = format ?? FORMATS.find(([extension]) => extension.test(name))?.[1];
  if (found !== undefined) return { format: found, gzip };
  throw new UsageError(
    `The name ${path} does not say what is in the file: expected .csv, .ndjson or .jsonl, each also with .gz.`,
  );
}

/** @throws {Failure} if there is no such file. */
export async function openProfilesFile(path: string, format?: Format): Promise<ProfilesFile> {
  const kind = kindOfFile(path, format);
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new Error('it is not a file');
    return { path, ...kind, bytes: found.size };
  } catch (error: unknown) {
    throw new Failure(`${path} cannot be read: ${messageOf(error)}.`, 'Check the path.', { cause: error });
  }
}

/** The bytes as they lie on the disk. */
export function bytesOf({ path }: ProfilesFile): Readable {
  return createReadStream(path, { highWaterMark: 256 * 1024 });
}
