import type { Attributes } from '../entities/profile.js';
import type { TextBlock } from './text-blocks.js';

/** A line that can be stored. */
export interface GoodRow {
  readonly id: string;
  /** What the line says of the profile; the id is no attribute. */
  readonly attributes: Attributes;
}

/** A line that cannot be stored. */
export interface BadRow {
  /** The line of the file on which the record starts, from 1. */
  readonly line: number;
  /** The id, when it could be read in spite of the rest. */
  readonly id: string | undefined;
  /** Nobody knows whom the line is about: it has an id, or may have one, that cannot be read. An empty id names nobody. */
  readonly hasUnreadableId: boolean;
  readonly problem: string;
}

export type Row = GoodRow | BadRow;

/**
 * Understands one format. Blocks come in order; `last` is the end of a body that arrived whole.
 * Both throw {BrokenBodyError} where nothing more of the body can be trusted. Rows before that place were returned.
 */
export interface RowReader {
  read(block: TextBlock): Row[];
  last(): Row[];
}
