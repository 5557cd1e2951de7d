import { randomUUID } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

const OWNER_ONLY = 0o600;
const OTHERS = 0o077;

/**
 * Answers the line that the file holds. If there is no file, it is made with what `make` answers, readable by its owner
 * alone. Of several processes that come at once one makes the file, and all answer its line: the file appears under its
 * name with its whole content or not at all.
 *
 * A file that others may read is closed to them.
 * @throws if it cannot be read or made, or cannot be closed to others.
 */
export function readOrMakePrivateFile(file: string, make: () => string): string {
  const existing = readPrivateFile(file);
  if (existing !== undefined) return existing;
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.${randomUUID()}`;
  try {
    writeFileSync(draft, `${make()}\n`, { mode: OWNER_ONLY, flag: 'wx', flush: true });
    // A link, not a rename: it fails where another process was first, instead of overwriting its file.
    linkSync(draft, file);
  } catch (error: unknown) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  const made = readPrivateFile(file);
  if (made === undefined) throw new Error(`The file ${file} vanished while it was being made.`);
  return made;
}

function readPrivateFile(file: string): string | undefined {
  try {
    closeToOthers(file);
    return readFileSync(file, 'utf8').trim();
  } catch (error: unknown) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function closeToOthers(file: string): void {
  // Windows knows no such bits and always shows them all as set.
  if (process.platform === 'win32' || !isOpenToOthers(file)) return;
  try {
    chmodSync(file, OWNER_ONLY);
  } catch (error: unknown) {
    throw new Error(openFileMessage(file), { cause: error });
  }
  // Some mounted folders accept chmod and ignore it.
  if (isOpenToOthers(file)) throw new Error(openFileMessage(file));
}

function isOpenToOthers(file: string): boolean {
  return (statSync(file).mode & OTHERS) !== 0;
}

function openFileMessage(file: string): string {
  return `The file ${file} holds a secret and can be read by other users of this machine. Run: chmod 600 ${file}`;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
