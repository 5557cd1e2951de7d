import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import 'reflect-metadata';
import { systemClock } from '../../src/clock.js';
import type { Database } from '../../src/database.js';
import { emailKeyOf } from '../../src/email-address.js';
import { DestinationKind } from '../../src/entities/connection.js';
import {
  ExportRun,
  ExportRunPhase,
  ExportRunState,
  ExportRunTrigger,
} from '../../src/entities/export-run.js';
import { LedgerEntry, LedgerTask } from '../../src/entities/ledger.js';
import { ledgerOf, writeEntries } from '../../src/exports/ledger.js';
import { filledFields, type WantedContact } from '../../src/exports/mapping.js';
import type { RemovalServices } from '../../src/exports/removals.js';
import { hashWith } from '../../src/security/person-hash.js';
import { openIn, removeFolder } from './databases.js';

/** A database with one run that sends, and what it plans. */
export interface RunRows extends AsyncDisposable {
  readonly database: Database;
  /** As the worker who holds it has it. */
  readonly run: ExportRun;
  /** What deciding entries needs of a server. */
  readonly services: RemovalServices;
  /** Plans contacts as a preparation does, under their addresses. */
  readonly plan: (...contacts: readonly WantedContact[]) => Promise<void>;
  readonly entry: (emailKey: string) => Promise<LedgerEntry>;
}

/** @example await using rows = await openRunRows(); */
export async function openRunRows(): Promise<RunRows> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-rows-'));
  const database = await openIn(folder);
  const run = await database.transact(async ({ manager }) => {
    const begun = manager.create(ExportRun, { ...NEW_RUN, queuedAt: new Date(0) });
    const ledger = await ledgerOf(manager, begun);
    return manager.save(Object.assign(begun, { ledgerId: ledger.id }));
  });
  return {
    database,
    run,
    services: { clock: systemClock, hashPerson: hashWith(Buffer.alloc(32, 1).toString('base64')) },
    plan: (...contacts) =>
      database.transact(({ manager }) =>
        writeEntries(
          manager,
          run,
          contacts.map((wanted) => ({
            emailKey: emailKeyOf(wanted[0]),
            profileId: `of ${wanted[0]}`,
            wanted: JSON.stringify(wanted),
            filled: filledFields(wanted),
            planned: true,
            task: LedgerTask.PUT,
            gone: false,
            departedRun: null,
            doubt: null,
            refusal: null,
          })),
        ),
      ),
    entry: (emailKey) => database.reader.findOneByOrFail(LedgerEntry, { emailKey }),
    [Symbol.asyncDispose]: async () => {
      await database.close();
      await removeFolder(folder);
    },
  };
}

const NEW_RUN = {
  id: 'run',
  exportId: 'export',
  number: 1,
  trigger: ExportRunTrigger.ON_DEMAND,
  state: ExportRunState.RUNNING,
  phase: ExportRunPhase.SENDING,
  connectionId: 'connection',
  connectionRevision: 1,
  kind: DestinationKind.ACTIVE_CAMPAIGN,
  account: 'account',
  listId: '1',
  runAutomations: true,
  force: false,
  attempt: 1,
  sequence: 0,
  skipped: 0,
  unchanged: 0,
  leavers: 0,
  toSend: 0,
  newcomers: 0,
  newcomersRefused: 0,
  accepted: 0,
  confirmed: 0,
  rejected: 0,
  unconfirmed: 0,
  notSent: 0,
};
