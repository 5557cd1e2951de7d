import { In, IsNull, type EntityManager, type EntityTarget, type FindOptionsWhere } from 'typeorm';
import { Connection } from '../entities/connection.js';
import { Consent } from '../entities/consent.js';
import { ExportRun } from '../entities/export-run.js';
import { ExportSchedule } from '../entities/export-schedule.js';
import { Export, ExportSegment } from '../entities/export.js';
import { Segment } from '../entities/segment.js';
import { User } from '../entities/user.js';
import { createLoader, type Loader } from './loader.js';

/** The look-ups from one object of an answer to another. */
export interface Loaders {
  readonly user: Loader<User>;
  readonly connection: Loader<Connection>;
  readonly export: Loader<Export>;
  readonly run: Loader<ExportRun>;
  /** The consent in force, by connection. */
  readonly consent: Loader<Consent>;
  /** By export, in the order in which the segments were made. */
  readonly segments: Loader<Segment[]>;
  /** By export. */
  readonly schedule: Loader<ExportSchedule>;
  /** The latest run, by export. */
  readonly lastRun: Loader<ExportRun>;
}

/** One set for each request or subscription. */
export function createLoaders(reader: EntityManager): Loaders {
  return {
    user: createLoader((ids) => findById(reader, User, ids)),
    connection: createLoader((ids) => findById(reader, Connection, ids)),
    export: createLoader((ids) => findById(reader, Export, ids)),
    run: createLoader((ids) => findById(reader, ExportRun, ids)),
    consent: createLoader((ids) => findConsents(reader, ids)),
    segments: createLoader((ids) => findSegments(reader, ids)),
    schedule: createLoader((ids) => findSchedules(reader, ids)),
    lastRun: createLoader((ids) => findLastRuns(reader, ids)),
  };
}

async function findById<Entity extends { id: string }>(
  reader: EntityManager,
  target: EntityTarget<Entity>,
  ids: string[],
): Promise<Map<string, Entity>> {
  const where: FindOptionsWhere<{ id: string }> = { id: In(ids) };
  const rows = await reader.findBy(target, where as FindOptionsWhere<Entity>);
  return new Map(rows.map((row) => [row.id, row]));
}

async function findConsents(reader: EntityManager, connectionIds: string[]): Promise<Map<string, Consent>> {
  const rows = await reader.findBy(Consent, { connectionId: In(connectionIds), withdrawnAt: IsNull() });
  return new Map(rows.map((row) => [row.connectionId, row]));
}

async function findSchedules(
  reader: EntityManager,
  exportIds: string[],
): Promise<Map<string, ExportSchedule>> {
  const rows = await reader.findBy(ExportSchedule, { exportId: In(exportIds) });
  return new Map(rows.map((row) => [row.exportId, row]));
}

async function findSegments(reader: EntityManager, exportIds: string[]): Promise<Map<string, Segment[]>> {
  const uses = await reader.findBy(ExportSegment, { exportId: In(exportIds) });
  const rows = await reader.find(Segment, {
    where: { id: In(uses.map((use) => use.segmentId)) },
    order: { id: 'ASC' },
  });
  const usedBy = (exportId: string) =>
    new Set(uses.filter((use) => use.exportId === exportId).map((use) => use.segmentId));
  return new Map(
    exportIds.map((exportId) => {
      const used = usedBy(exportId);
      return [exportId, rows.filter((row) => used.has(row.id))];
    }),
  );
}

async function findLastRuns(reader: EntityManager, exportIds: string[]): Promise<Map<string, ExportRun>> {
  const rows = await reader
    .createQueryBuilder(ExportRun, 'run')
    .where('run.exportId IN (:...exportIds)', { exportIds })
    .andWhere((query) => {
      const latest = query
        .subQuery()
        .select('MAX(other.number)')
        .from(ExportRun, 'other')
        .where('other.exportId = run.exportId');
      return `run.number = ${latest.getQuery()}`;
    })
    .getMany();
  return new Map(rows.map((row) => [row.exportId, row]));
}
