import type { Database } from '../database.js';
import type { ImportReport, LineError } from './import-report.js';
import type { ImportMode } from './merge.js';
import type { GoodRow, Row } from './row.js';
import { storeBatch, type FillingSegment } from './store-batch.js';

/** One transaction's worth: some 50 ms of work, so that other writers are never kept waiting for long. */
const BATCH_ROWS = 3_000;
const MAX_ERRORS = 100;

/**
 * Gathers rows into batches and stores them, one batch behind the reading: while SQLite works in its own thread, the
 * next batch is parsed.
 */
export class ImportWriter {
  private good: GoodRow[] = [];
  private rejectedIds: string[] = [];
  private storing: Promise<void> = Promise.resolve();
  private received = 0;
  private stored = 0;
  private unchanged = 0;
  private rejected = 0;
  private readonly errors: LineError[] = [];
  /** Whether any line has told whom it is about. */
  sawAnId = false;

  constructor(
    private readonly database: Database,
    private readonly options: { mode: ImportMode; segment: FillingSegment | undefined },
  ) {}

  /** Resolves when there is room for more. */
  async add(rows: readonly Row[]): Promise<void> {
    for (const row of rows) {
      this.received += 1;
      if (row.id !== undefined) this.sawAnId = true;
      if (!('problem' in row)) this.good.push(row);
      else {
        this.rejected += 1;
        if (row.id !== undefined) this.rejectedIds.push(row.id);
        if (this.errors.length < MAX_ERRORS) this.errors.push({ line: row.line, message: row.problem });
      }
      if (this.good.length + this.rejectedIds.length >= BATCH_ROWS) await this.startStoring();
    }
  }

  /** Resolves when everything is stored. */
  async finish(): Promise<void> {
    await this.startStoring();
    await this.storing;
  }

  /** @param removed members that left the segment. */
  report(removed: number): ImportReport {
    const { received, stored, unchanged, rejected, errors } = this;
    return { received, stored, unchanged, rejected, removed, errors };
  }

  private async startStoring(): Promise<void> {
    await this.storing;
    const batch = { rows: this.good, rejectedIds: this.rejectedIds };
    this.good = [];
    this.rejectedIds = [];
    if (batch.rows.length + batch.rejectedIds.length === 0) return;
    this.storing = this.store(batch);
    // A failure is met by the next `await this.storing`; until then it is not unhandled.
    this.storing.catch(() => undefined);
  }

  private async store(batch: { rows: GoodRow[]; rejectedIds: string[] }): Promise<void> {
    const { stored, unchanged } = await this.database.transact((transaction) =>
      storeBatch(transaction, batch, this.options),
    );
    this.stored += stored;
    this.unchanged += unchanged;
  }
}
