import type { Sandbox } from '../../sandbox/sandbox.js';
import { emailOf, exportOf, people, runFully, type Engine } from './engine.js';

/** Where a member stands on a list at the destination. */
export const ON_LIST = 1;
export const OFF_LIST = 2;

/** 1, 2, 3 … */
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

/** Where the nth person stands on list 1; undefined: never on it. */
export function standing(sandbox: Sandbox, n: number): number | undefined {
  return sandbox.contact(emailOf(n))?.lists.find(({ list }) => list === 1)?.status;
}

/** Makes these the members of the segment `All`: the nth person for each. */
export async function setMembers({ sluice }: Engine, ns: readonly number[]): Promise<void> {
  const [header = ''] = people(0).split('\n');
  const rows = ns.map((n) => people(1, n).split('\n')[1] ?? '');
  await sluice.importCsv([header, ...rows, ''].join('\n'), { segment: 'All' });
}

/**
 * An export that has delivered so many people, has taken all but the last of them off the list again, and whose segment
 * holds all of them once more: its next run is to put them back. Answers its id.
 */
export async function exportOfReturning(engine: Engine, count: number): Promise<string> {
  const exportId = await exportOf(engine, people(count), { leavers: 'UNSUBSCRIBE', leaverHoldPercent: 100 });
  await runFully(engine.sluice, exportId);
  await setMembers(engine, [count]);
  await runFully(engine.sluice, exportId);
  await setMembers(engine, upTo(count));
  return exportId;
}
