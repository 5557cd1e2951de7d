import { BadInputError } from '../errors.js';
import type { BrokenBodyError } from './broken-body-error.js';

/** What became of a file. `received` = `stored` + `unchanged` + `rejected`. */
export interface ImportReport {
  /** Lines with data: neither the header row nor empty lines. */
  readonly received: number;
  /** Lines that made or changed a profile. */
  readonly stored: number;
  /** Lines that said what was known already. */
  readonly unchanged: number;
  readonly rejected: number;
  /** Members that left the segment. */
  readonly removed: number;
  /** The first 100 of the rejected lines. */
  readonly errors: readonly LineError[];
  /** What else a person should know, a sentence each; nothing of the file is quoted. */
  readonly warnings: readonly string[];
}

export interface LineError {
  /** The line of the file on which the record starts, from 1. */
  readonly line: number;
  readonly message: string;
}

/** The import ended before its time; the report says what is stored nevertheless. The segment is as it was. */
export class IncompleteImportError extends BadInputError {
  constructor(
    cause: BrokenBodyError,
    readonly report: ImportReport,
  ) {
    const { received, stored, unchanged, rejected } = report;
    const kept =
      received === 0
        ? 'Nothing was stored.'
        : `The lines before that count: ${stored} stored, ${unchanged} known already, ${rejected} rejected. No segment was changed.`;
    super('body', `${cause.message} ${kept}`, cause.remedy ?? '');
    this.cause = cause;
  }
}
