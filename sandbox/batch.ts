import type { FaultAction } from './faults.js';
import type { ImportCallback, ImportContact } from './importer.js';
import type { JudgedBatch } from './judge.js';

/** An importer call that was accepted. How it lives is told in processing.ts. */
export interface Batch extends JudgedBatch {
  /** What it holds until it is decided; nothing afterwards. */
  contacts: readonly ImportContact[];
  readonly size: number;
  readonly acceptedAt: number;
  readonly dueAt: number;
  readonly callback: ImportCallback | undefined;
  readonly fault: Extract<FaultAction, { type: 'batch' | 'withhold' }> | undefined;
  end: 'completed' | 'failed' | 'interrupted' | undefined;
  decidedAt: number | null;
  polls: number;
  /** Ids of the contacts to report, and addresses of those that failed. */
  success: number[];
  failure: string[];
}
