import { BadInputError } from '../errors.js';

/**
 * The body ends, or stops making sense, before its time. What came before is still good: the import keeps it, and
 * leaves the segment alone.
 */
export class BrokenBodyError extends BadInputError {
  constructor(message: string, remedy: string) {
    super('body', message, remedy);
  }
}
