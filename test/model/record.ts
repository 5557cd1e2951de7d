import type { Call } from '../../sandbox/journal.js';
import { bodiesOf } from '../helpers/engine.js';
import { isProof } from '../helpers/sends.js';
import type { UnprovenTries } from './engine.js';

/**
 * What the sandbox has on record of importer calls that faults struck: how often each address was in one of which nothing
 * proves that it was not taken. The sandbox must keep bodies.
 */
export function unprovenTries(calls: readonly Call[]): UnprovenTries {
  const tries = new Map<string, number>();
  for (const contacts of bodiesOf(calls.filter(isUnproven))) {
    for (const { email } of contacts as { email: string }[]) {
      const key = email.toLowerCase();
      tries.set(key, (tries.get(key) ?? 0) + 1);
    }
  }
  return tries;
}

/** `batch`: it was accepted, and lost. `withhold`: its outcome comes later. */
function isUnproven({ fault, status }: Call): boolean {
  if (fault === undefined || fault === 'withhold') return false;
  return fault === 'batch' || !isProof(status);
}
