import type { Api, Run } from './api.js';
import { FINAL_STATES } from './api.js';
import type { Story } from './story.js';
import type { Verdict } from './judge.js';
import type { Violations } from './violations.js';
import type { World } from './world.js';

/** Whether every run ended, added up, and was what the server had promised. */
export function auditRuns(runs: readonly Run[], story: Story, violations: Violations): void {
  const byId = new Map(runs.map((run) => [run.id, run]));
  for (const run of runs) {
    const { members, skipped, unchanged, leavers = 0, toSend, ...ends } = run.progress;
    const { confirmed, rejected, unconfirmed, notSent } = ends;
    const who = `run ${run.id} of ${run.export.name}, ${run.state}, ${JSON.stringify(run.progress)}`;
    if (!FINAL_STATES.includes(run.state)) violations.add('every run comes to an end', who);
    if (members !== null && members !== skipped + unchanged + toSend - leavers) {
      violations.add('members = skipped + unchanged + toSend − leavers', who);
    }
    if (toSend !== confirmed + rejected + unconfirmed + notSent) {
      violations.add('toSend = confirmed + rejected + unconfirmed + notSent', who);
    }
    // No fault lasts, so that only a cancel may leave people behind. Whether those who are unconfirmed had used up their tries
    // is judged by the database.
    if (run.state !== 'CANCELED' && notSent > 0) {
      violations.add('a run that goes on leaves nobody behind', who);
    }
    // Nothing in this story is a person's to solve: the account is not full, and outages end before the deadline.
    if (run.problem !== null) violations.add('no run has a problem', `${who}: ${run.problem.code}`);
  }
  for (const id of story.promisedRuns) {
    if (!byId.has(id)) violations.add('a run that was promised is there', id);
  }
  for (const id of story.promisedCancels) {
    const state = byId.get(id)?.state;
    if (state !== 'CANCELED')
      violations.add('a cancel that was promised is kept', `${id} is ${String(state)}`);
  }
}

/** Whether a run without faults, on data that stands still, sent and said what it should. */
export function auditQuietRun(run: Run, { present }: Verdict, violations: Violations): void {
  const { unchanged, toSend, confirmed, unconfirmed, notSent } = run.progress;
  const who = `run ${run.id} of ${run.export.name}: ${JSON.stringify(run.progress)}`;
  const { there, optedOut } = present.get(run.export.name) ?? { there: 0, optedOut: 0 };
  if (unconfirmed + notSent > 0) violations.add('without faults every outcome is known', who);
  // Who opted out after the delivery is unchanged as far as anybody can know without asking.
  const reported = unchanged + confirmed;
  if (reported < there || reported > there + optedOut) {
    violations.add('who is reported there is there', `${who}; ${there} are, ${optedOut} opted out`);
  }
  if (confirmed > 0)
    violations.add('a run after clean ones has nothing to deliver', `${who}; toSend ${toSend}`);
}

/** Whether what imports acknowledged is there. */
export async function auditSegments(api: Api, world: World, violations: Violations): Promise<void> {
  for (const { name, memberCount } of await api.segments()) {
    const expected = world.memberCount(name);
    if (memberCount !== expected) {
      violations.add(
        'what an import acknowledged is there',
        `${name}: ${memberCount} members, not ${expected}`,
      );
    }
  }
}
