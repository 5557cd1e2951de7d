import ts from 'typescript';
import type { SourceFile } from './source-files.js';

/** Whoever imports one of these, himself or through others, can have a database … */
const OPENERS = [
  'test/helpers/databases.ts',
  'test/helpers/postgres.ts',
  'src/open-database.ts',
  'src/sqlite-database.ts',
  'src/postgres-database.ts',
];
/** … or through one of these; a program of its own may open one too. */
const PACKAGES = ['pg', 'pg-boss', 'sqlite3', 'node:child_process'];

/**
 * Tests whose files have a way to a database.
 * @param files all of the project, so that every import can be followed.
 */
export function testsWithDatabase(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return files
    .filter(({ path }) => path.endsWith('.test.ts'))
    .filter((test) => reachable(test, byPath).some(opens))
    .map(({ path }) => path);
}

function opens({ path, text }: SourceFile): boolean {
  if (OPENERS.includes(path)) return true;
  return ts.preProcessFile(text).importedFiles.some(({ fileName }) => PACKAGES.includes(fileName));
}

/** The file, and all that it imports, and so on. Types count: better a test too many on Postgres than one too few. */
function reachable(start: SourceFile, byPath: ReadonlyMap<string, SourceFile>): SourceFile[] {
  const found = new Set([start]);
  // A set is walked in the order of insertion, also while it grows.
  for (const { imports } of found) {
    for (const path of imports) {
      const file = byPath.get(path);
      if (file !== undefined) found.add(file);
    }
  }
  return [...found];
}
