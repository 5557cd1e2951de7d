import { Failure } from '../client/failure.js';
import type { GraphQLClient } from '../client/graphql-client.js';
import { figure } from '../terminal/format.js';
import type { Narrator } from './narrator.js';

/** The figures of a run by which it is judged. */
export const RUN_FIGURES = [
  'members',
  'skipped',
  'toSend',
  'accepted',
  'confirmed',
  'rejected',
  'unconfirmed',
  'notSent',
] as const;

/** A run as the subscription tells it. */
export interface FinishedRun {
  readonly id: string;
  readonly state: string;
  readonly problem: {
    readonly code: string;
    readonly message: string;
    readonly remedy: string | null;
  } | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly progress: Readonly<Record<(typeof RUN_FIGURES)[number], number>>;
}

interface RunChanged {
  readonly exportRunChanged: FinishedRun & {
    readonly phase: string | null;
    readonly progress: { readonly percent: number | null; readonly etaSeconds: number | null };
  };
}

const SUBSCRIPTION = `subscription ($runId: ID!) {
  exportRunChanged(runId: $runId) {
    id state phase startedAt finishedAt
    problem { code message remedy }
    progress { percent etaSeconds ${RUN_FIGURES.join(' ')} }
  }
}`;

/** Shows the run's progress until the stream ends, which is with the final state. */
export async function watchRun(
  client: GraphQLClient,
  runId: string,
  narrator: Narrator,
): Promise<FinishedRun> {
  const bar = narrator.progressBar('exporting');
  let last: FinishedRun | undefined;
  try {
    for await (const { exportRunChanged: run } of client.subscribe<RunChanged>(SUBSCRIPTION, { runId })) {
      last = run;
      const { percent, confirmed, rejected, toSend, etaSeconds } = run.progress;
      const decided = percent === null ? 0 : confirmed + rejected + run.progress.unconfirmed;
      const left = etaSeconds === null || etaSeconds === 0 ? '' : `, ${etaSeconds} s left`;
      bar.update(decided, percent === null ? 1 : toSend, noteOf(run) + left);
    }
  } finally {
    bar.stop();
  }
  if (last === undefined) throw new Failure('The subscription ended without a word about the run.');
  narrator.step(`run ended: ${last.state}`);
  if (last.problem !== null) narrator.note([last.problem.message, last.problem.remedy].join(' '));
  return last;
}

function noteOf({ state, phase, progress }: RunChanged['exportRunChanged']): string {
  if (state === 'QUEUED') return 'queued';
  if (phase === 'PREPARING' || progress.percent === null) return 'preparing';
  return `${figure(progress.confirmed)} of ${figure(progress.toSend)} confirmed`;
}
