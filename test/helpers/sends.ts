import type { Sandbox } from '../../sandbox/sandbox.js';
import { bodiesOf, imports } from './engine.js';

/** Whether the answer of an importer call proves that the batch was not taken: what a client can know, not what was done. */
export function isProof(status: number): boolean {
  return (status >= 400 && status < 500) || status === 503;
}

/**
 * How often each address was in a request that the destination accepted, or possibly accepted as far as its answer tells.
 * The sandbox must keep bodies (`keepBodies`).
 */
export function sends(sandbox: Sandbox): Map<string, number> {
  const times = new Map<string, number>();
  for (const contacts of bodiesOf(imports(sandbox).filter(({ status }) => !isProof(status)))) {
    for (const { email } of contacts as { email: string }[]) times.set(email, (times.get(email) ?? 0) + 1);
  }
  return times;
}

/** The most that anybody was sent, see `sends`. */
export function mostSends(sandbox: Sandbox): number {
  return Math.max(0, ...sends(sandbox).values());
}
