import type { Batch } from '../entities/batch.js';
import type { RunContext } from './run-context.js';

/**
 * What is known of the windows of a batch is written down again after so much of the destination's time, so that a restart
 * of less than a minute opens no gap.
 */
const NOTE_AFTER_MS = 20_000;
/** At a sped-up sandbox no more often than that. */
const MIN_NOTE_MS = 50;

/**
 * Writes down, when the time has come, what answers have told of the windows of a batch (see removal-windows.ts). A batch
 * without leavers, and one that takes no longer than usual, costs nothing.
 */
export function noteSightings(
  { services, decide }: Pick<RunContext, 'services' | 'decide'>,
  batch: Batch,
): () => Promise<void> {
  let notedAt = services.clock.monotonic();
  let noted = batch.seenAt?.getTime() ?? 0;
  return async () => {
    const seen = batch.seenAt?.getTime() ?? 0;
    if (seen - noted < NOTE_AFTER_MS || services.clock.monotonic() - notedAt < MIN_NOTE_MS) return;
    await decide({ batch, changes: {} });
    notedAt = services.clock.monotonic();
    noted = seen;
  };
}
