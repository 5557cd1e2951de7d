import type { Batch } from '../entities/batch.js';
import type { EngineServices } from './run-context.js';

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
 * @param write writes the batch down.
 */
export function noteSightings(
  { clock }: Pick<EngineServices, 'clock'>,
  batch: Batch,
  write: () => Promise<void>,
): () => Promise<void> {
  let notedAt = clock.monotonic();
  let noted = batch.seenAt?.getTime() ?? 0;
  return async () => {
    const seen = batch.seenAt?.getTime() ?? 0;
    if (seen - noted < NOTE_AFTER_MS || clock.monotonic() - notedAt < MIN_NOTE_MS) return;
    await write();
    notedAt = clock.monotonic();
    noted = seen;
  };
}
