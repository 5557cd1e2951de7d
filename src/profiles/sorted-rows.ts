import type { Attributes } from '../entities/profile.js';
import type { GoodRow } from './row.js';
import { openSortedSpill, type SortedSpill } from '../sorted-spill.js';

/** A row, and which one it was: of two with one id the later counts. */
type PlacedRow = readonly [id: string, place: number, attributes: Attributes];

/** Rows that are set aside to be stored in the order of their ids. */
export class SortedRows {
  /** Rows so far. */
  size = 0;

  private constructor(private readonly spill: SortedSpill<PlacedRow>) {}

  static async open(directory: string): Promise<SortedRows> {
    return new SortedRows(await openSortedSpill(directory, comparePlacedRows));
  }

  async add(rows: readonly GoodRow[]): Promise<void> {
    await this.spill.add(rows.map(({ id, attributes }, index) => [id, this.size + index, attributes]));
    this.size += rows.length;
  }

  /** Everything by id, rows of one id in the order in which they came. */
  async *batches(size: number): AsyncGenerator<GoodRow[]> {
    let batch: GoodRow[] = [];
    for await (const page of this.spill.pages()) {
      for (const [id, , attributes] of page) {
        batch.push({ id, attributes });
        if (batch.length < size) continue;
        yield batch;
        batch = [];
      }
    }
    if (batch.length > 0) yield batch;
  }

  async close(): Promise<void> {
    await this.spill[Symbol.asyncDispose]();
  }
}

/** JavaScript's own order of texts differs from the database's for rare characters only: near enough to lie together. */
function comparePlacedRows(a: PlacedRow, b: PlacedRow): number {
  if (a[0] < b[0]) return -1;
  return a[0] > b[0] ? 1 : a[1] - b[1];
}
