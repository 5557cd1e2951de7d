import type { Call } from '../../sandbox/journal.js';
import { bodiesOf } from '../helpers/engine.js';
import { isProof } from '../helpers/sends.js';
import type { Unproven } from './delivery.js';

/**
 * What the sandbox has on record of importer calls that faults struck: how often each address was in one of which nothing
 * proves that it was not taken. The sandbox must keep bodies.
 */
export function unprovenTries(calls: readonly Call[]): Map<string, Unproven> {
  const found = new Map<string, Unproven>();
  for (const call of calls.filter(isUnproven)) {
    for (const { email } of bodiesOf([call]).flat() as { email: string }[]) {
      const key = email.toLowerCase();
      const { tries = 0, wasTaken = false } = found.get(key) ?? {};
      found.set(key, { tries: tries + 1, wasTaken: wasTaken || call.batchId !== undefined });
    }
  }
  return found;
}

/** `batch`: it was accepted, and lost. `withhold`: its outcome comes later. */
function isUnproven({ fault, status }: Call): boolean {
  if (fault === undefined || fault === 'withhold') return false;
  return fault === 'batch' || !isProof(status);
}
