import { readdirSync, readFileSync } from 'node:fs';

/** Of a second; what Linux counts processor time in, everywhere. */
const TICKS_PER_SECOND = 100;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  /** Of the process, and of its children that have ended. */
  readonly own: number;
  readonly ofChildren: number;
}

/** How long a process has been at work so far; null: this system does not tell. */
export function cpuSecondsOf(pid: number | undefined): number | null {
  const stat = pid === undefined ? undefined : statOf(pid);
  return stat === undefined ? null : stat.own / TICKS_PER_SECOND;
}

/** How long a process and everybody it ever started have been at work so far, as far as those did not start others. */
export function cpuSecondsOfFamily(pid: number): number | null {
  const parent = statOf(pid);
  if (parent === undefined) return null;
  const children = readdirSync('/proc').flatMap((name) => {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    return stat?.parent === pid ? [stat] : [];
  });
  const ticks = children.reduce((sum, { own }) => sum + own, parent.own + parent.ofChildren);
  return ticks / TICKS_PER_SECOND;
}

export function parentOf(pid: number): number | undefined {
  return statOf(pid)?.parent;
}

function statOf(pid: number): Stat | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    // The name, in brackets, may hold anything.
    const [, rest = ''] = /\) (.*)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    const fields = rest.split(' ').map(Number);
    const [parent = 0, user = 0, system = 0, childUser = 0, childSystem = 0] = [1, 11, 12, 13, 14].map(
      (at) => fields[at],
    );
    return { pid, parent, own: user + system, ofChildren: childUser + childSystem };
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}
