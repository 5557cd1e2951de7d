import type { Clock } from '../clock.js';
import type { Database } from '../database.js';
import { ConflictError } from '../errors.js';
import { createMatcher, type UnparsedValues } from './matcher.js';
import { profilePages, type ProfileRow } from './profile-pages.js';
import type { Rule } from './rule.js';

export interface EvaluationServices {
  readonly database: Database;
  readonly clock: Clock;
  /** Aborts when the server stops: nobody may keep it waiting for a million profiles. */
  readonly closing: AbortSignal;
}

/** What a whole evaluation found. */
export interface Evaluation {
  readonly count: number;
  readonly unparsed: UnparsedValues[];
}

/** Profiles that are read and judged at once: some 20 ms, in which nobody else is served. */
const PAGE = 5_000;

/**
 * Walks through all profiles and tells, page by page, who matches the rule. It is done in this process and not in SQL, so
 * that it means the same on every database.
 * @param nowMs the moment for `withinLastDays`.
 * @param onMatches may take its time.
 * @throws {ConflictError} when the server stops meanwhile.
 */
export async function evaluateRule(
  services: EvaluationServices,
  rule: Rule,
  nowMs: number,
  onMatches: (matches: readonly ProfileRow[]) => Promise<void> | void,
): Promise<Evaluation> {
  const matcher = createMatcher(rule, nowMs);
  let count = 0;
  for await (const page of profilePages(services.database.reader, PAGE)) {
    if (services.closing.aborted) throw new StoppingError();
    const matches = page.filter(([, attributes]) => matcher.matches(attributes));
    count += matches.length;
    await onMatches(matches);
  }
  return { count, unparsed: matcher.unparsed() };
}

/** The server stops; nothing was changed. */
export class StoppingError extends ConflictError {
  constructor() {
    super('The server is stopping; the segment stays as it is.', 'Try again in a moment.');
  }
}
