import { ExportSchedule } from '../../src/entities/export-schedule.js';
import { Export, ExportSegment } from '../../src/entities/export.js';
import { newId } from '../../src/ids.js';
import { inGroups } from '../../src/in-groups.js';
import { openIn } from './databases.js';
import type { Sluice } from './sluice.js';

/**
 * Puts copies of an export, with its segments and its schedule, into the server's database from outside: for tests of many
 * exports, which would else spend their time on making them.
 * @param more what is different about the nth copy, from 1.
 * @returns their ids, by age.
 */
export async function copyExport(
  sluice: Sluice,
  exportId: string,
  count: number,
  more: (n: number) => Partial<Export> = () => ({}),
): Promise<string[]> {
  await using database = await openIn(sluice.folder);
  return await database.transact(async ({ manager }) => {
    const original = await manager.findOneByOrFail(Export, { id: exportId });
    const schedule = await manager.findOneByOrFail(ExportSchedule, { exportId });
    const uses = await manager.findBy(ExportSegment, { exportId });
    const copies = Array.from({ length: count }, (_, index) => {
      const name = `${original.name} ${index + 1}`;
      return Object.assign(new Export(), original, { id: newId(), name }, more(index + 1));
    });
    // SQLite takes 32,766 parameters in a statement.
    for (const group of inGroups(copies, 500)) {
      await manager.insert(Export, group);
      await manager.insert(
        ExportSchedule,
        group.map(({ id }) => Object.assign(new ExportSchedule(), schedule, { exportId: id })),
      );
      await manager.insert(
        ExportSegment,
        group.flatMap(({ id }) => uses.map(({ segmentId }) => ({ segmentId, exportId: id }))),
      );
    }
    return copies.map(({ id }) => id);
  });
}
