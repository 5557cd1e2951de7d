import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeAddress } from '../config.js';
import type { DatabaseAddress } from '../database.js';
import { AuditRetention } from '../entities/audit-event.js';
import { moveDatabase, type Moved, type MoveStep } from '../moving/move.js';
import { MoveError } from '../moving/move-error.js';
import { assertUsable } from '../moving/target.js';
import { tablesOf } from '../moving/tables.js';
import { openDatabase } from '../open-database.js';
import { keyFileIn } from '../security/secret-keys.js';
import { dataModel } from './data-model.js';
import { claimDatabase, DatabaseInUseError } from './single-process.js';

const FILLED_BY_MIGRATIONS = [AuditRetention];

export interface MoveOfServer {
  readonly from: Extract<DatabaseAddress, { kind: 'sqlite' }>;
  readonly to: Extract<DatabaseAddress, { kind: 'postgres' }>;
  readonly signal: AbortSignal;
  readonly onStep: (step: MoveStep) => void;
}

/**
 * Moves what a server has from its SQLite file to Postgres. No server may use the file meanwhile; it is brought up to
 * date, as at every start, and else left as it is.
 * @throws {MoveError} if nothing was moved, and why.
 */
export async function moveServer({ from, to, signal, onStep }: MoveOfServer): Promise<Moved> {
  if (!existsSync(from.file)) {
    throw new MoveError(
      `There is no file ${from.file}.`,
      'Give the address of the SQLite file as the server has it in DATABASE_URL.',
    );
  }
  const release = await claim(from.file);
  try {
    const source = await openDatabase(from, dataModel);
    try {
      const tables = tablesOf(source.reader.connection.entityMetadatas, FILLED_BY_MIGRATIONS);
      await assertUsable(to.url, tables);
      const target = await openDatabase(to, dataModel);
      try {
        return await moveDatabase({ source, target, tables, signal, onStep });
      } finally {
        await target.close();
      }
    } finally {
      await source.close();
    }
  } finally {
    await release();
  }
}

/**
 * The settings that change with the move; the password is not shown. The data folder is among them where the secret key
 * lies in it: on Postgres, the address of the database no longer tells where that is.
 */
export function settingsAfterMove({ from, to }: Pick<MoveOfServer, 'from' | 'to'>): {
  readonly DATABASE_URL: string;
  readonly SLUICE_DATA_FOLDER?: string;
} {
  const folder = dirname(from.file);
  const hasKey = existsSync(keyFileIn(folder));
  return { DATABASE_URL: describeAddress(to), ...(hasKey && { SLUICE_DATA_FOLDER: folder }) };
}

async function claim(file: string): Promise<() => Promise<void>> {
  try {
    return await claimDatabase(file);
  } catch (error: unknown) {
    if (!(error instanceof DatabaseInUseError)) throw error;
    throw new MoveError(
      `A server works with ${file}.`,
      'Stop it first (Ctrl-C, or SIGTERM): what is under way goes on, on Postgres, after the move.',
      { cause: error },
    );
  }
}
