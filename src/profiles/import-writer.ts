import type { Database } from '../database.js';
import { PROFILES_LANE } from '../lanes.js';
import type { ImportReport, LineError } from './import-report.js';
import type { ImportMode } from './merge.js';
import type { GoodRow, Row } from './row.js';
import { SortedRows } from './sorted-rows.js';
import { storeBatch, type FillingSegment, type ImportBatch } from './store-batch.js';

/** One transaction's worth: some 50 ms of work, so that other writers are never kept waiting for long. */
const BATCH_ROWS = 3_000;
/** Rows that are sorted together: the sender waits some seconds for them, and the disk needs some 100 MB. */
const SORTED_AT_ONCE = 1_000_000;
/** Of neighbours within a batch, so many must ascend for their ids to lie close together; by chance it is half. */
const ASCENDING = 0.75;
const MAX_ERRORS = 100;

export interface ImportWriterOptions {
  readonly mode: ImportMode;
  readonly segment: FillingSegment | undefined;
  /** Where rows are kept while they are sorted. */
  readonly scratchDirectory: string;
  /** Nothing is stored any more once it aborts. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Gathers rows into batches and stores them, one batch behind the reading: while SQLite works in its own thread, the
 * next batch is parsed.
 *
 * Profiles lie in the order of their ids, and rows in random order would touch another page of the tree each. So a batch
 * out of order begins a sort: it and all rows behind it, up to a million, are set aside, sorted, and stored by id. What
 * comes behind a sorted row must not be stored before it, for the later line counts.
 */
export class ImportWriter implements AsyncDisposable {
  private good: GoodRow[] = [];
  private rejectedIds: string[] = [];
  private sorting: SortedRows | undefined;
  private storing: Promise<void> = Promise.resolve();
  private received = 0;
  private stored = 0;
  private unchanged = 0;
  private rejected = 0;
  private readonly errors: LineError[] = [];
  /** Whether any line has told whom it is about. */
  sawAnId = false;
  /** Rejected lines about somebody, and nobody knows about whom. */
  unreadableIds = 0;

  constructor(
    private readonly database: Database,
    private readonly options: ImportWriterOptions,
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
        if (row.hasUnreadableId) this.unreadableIds += 1;
        if (this.errors.length < MAX_ERRORS) this.errors.push({ line: row.line, message: row.problem });
      }
      if (this.good.length + this.rejectedIds.length >= BATCH_ROWS) await this.passOn(isFarFromSorted);
    }
  }

  /** Resolves when everything is stored. */
  async finish(): Promise<void> {
    // The last rows alone are not worth a sort.
    await this.passOn(() => false);
    await this.storeSorted();
    await this.storing;
  }

  /** Resolves when nothing is being stored any more, for whoever gives the import up. */
  async settle(): Promise<void> {
    await this.storing.catch(() => undefined);
  }

  /** @param removed members that left the segment. */
  report(removed: number, warnings: readonly string[] = []): ImportReport {
    const { received, stored, unchanged, rejected, errors } = this;
    return { received, stored, unchanged, rejected, removed, errors, warnings };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sorting?.close();
  }

  private async passOn(wantsSorting: (rows: readonly GoodRow[]) => boolean): Promise<void> {
    const { good, rejectedIds } = this;
    this.good = [];
    this.rejectedIds = [];
    if (this.sorting === undefined && wantsSorting(good)) {
      this.sorting = await SortedRows.open(this.options.scratchDirectory);
    }
    if (this.sorting === undefined) {
      await this.startStoring({ rows: good, rejectedIds });
      return;
    }
    await this.sorting.add(good);
    await this.startStoring({ rows: [], rejectedIds });
    if (this.sorting.size >= SORTED_AT_ONCE) await this.storeSorted();
  }

  private async storeSorted(): Promise<void> {
    if (this.sorting === undefined) return;
    for await (const rows of this.sorting.batches(BATCH_ROWS)) {
      await this.startStoring({ rows, rejectedIds: [] });
    }
    await this.sorting.close();
    this.sorting = undefined;
  }

  private async startStoring(batch: ImportBatch): Promise<void> {
    await this.storing;
    if (batch.rows.length + batch.rejectedIds.length === 0) return;
    this.storing = this.store(batch);
    // A failure is met by the next `await this.storing`; until then it is not unhandled.
    this.storing.catch(() => undefined);
  }

  private async store(batch: ImportBatch): Promise<void> {
    const { stored, unchanged } = await this.database.transact((transaction) => {
      this.options.signal?.throwIfAborted();
      return storeBatch(transaction, batch, this.options);
    }, PROFILES_LANE);
    this.stored += stored;
    this.unchanged += unchanged;
  }
}

function isFarFromSorted(rows: readonly GoodRow[]): boolean {
  let ascents = 0;
  let before = '';
  for (const { id } of rows) {
    if (id >= before) ascents += 1;
    before = id;
  }
  return ascents < rows.length * ASCENDING;
}
