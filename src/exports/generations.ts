import type { EntityManager } from 'typeorm';
import { ExportRun, ExportRunPhase } from '../entities/export-run.js';

/**
 * The generations of segment members that a preparing run still reads: nobody may sweep them away meanwhile. A held run
 * reads none: it prepares again once it is approved.
 */
export async function pinnedGenerations(manager: EntityManager): Promise<number[]> {
  const preparing = await manager.find(ExportRun, {
    select: { id: true, generations: true },
    where: { phase: ExportRunPhase.PREPARING },
  });
  return preparing.flatMap((run) => run.generations ?? []);
}
