import type { Problem } from '../entities/problem.js';
import { transactAs } from './fence.js';
import type { RunContext } from './run-context.js';
import { writeRun } from './run-states.js';

const CODE = 'SENDING_PAUSED';

/** Whether the problem says that the run waits for the circuit breaker, and not how it ended. */
export function isPause(problem: Problem | null): boolean {
  return problem?.code === CODE;
}

/** Shows in the run that it waits because the circuit breaker of the account is open, or that it goes on. */
export async function showPause({ run, services, trouble }: RunContext, isPaused: boolean): Promise<void> {
  if (isPause(run.problem) === isPaused) return;
  const problem = isPaused ? paused(trouble) : null;
  await transactAs(services, run, async ({ manager, afterCommit }) => {
    await writeRun(manager, run, { problem });
    afterCommit(() => services.hub.changed(run.id));
  });
}

function paused(trouble: Problem | null): Problem {
  const last = trouble === null ? '' : ` The last trouble: ${trouble.message}`;
  return {
    code: CODE,
    message: `Sending is paused: several batches in a row failed, and it is not known whether the destination took them.${last}`,
    remedy:
      'There is nothing to do: Sluice tests the destination with one batch now and then, and goes on when it works. To give up, cancel the run (cancelExportRun).',
  };
}
