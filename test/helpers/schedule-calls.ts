import { exportOf, people, type Engine } from './engine.js';
import type { Sluice } from './sluice.js';

export interface ScheduleAnswer {
  readonly enabled: boolean;
  readonly recurrence: string;
  readonly cron: string | null;
  readonly timeZone: string | null;
  readonly nextRunAt: string | null;
  readonly upcoming: readonly string[];
}

export interface RunAnswer {
  readonly id: string;
  readonly trigger: string;
  readonly state: string;
  readonly queuedAt: string;
  readonly problem: { readonly code: string; readonly message: string } | null;
  readonly requestedBy: { readonly displayName: string } | null;
  readonly export: { readonly id: string };
}

export const RUN =
  'id trigger state queuedAt problem { code message } requestedBy { displayName } export { id }';
const SCHEDULE = 'enabled recurrence cron timeZone nextRunAt upcoming';

export async function scheduleOf(sluice: Sluice, exportId: string): Promise<ScheduleAnswer> {
  const { export: found } = await sluice.query<{ export: { schedule: ScheduleAnswer } }>(
    `query ($id: ID!) { export(id: $id) { schedule { ${SCHEDULE} } } }`,
    { id: exportId },
  );
  return found.schedule;
}

export async function schedule(sluice: Sluice, ids: readonly string[], input: object): Promise<void> {
  await sluice.query(
    'mutation ($ids: [ID!]!, $input: ScheduleInput!) { scheduleExports(ids: $ids, schedule: $input) { id } }',
    { ids, input },
  );
}

export async function enable(sluice: Sluice, ids: readonly string[], enabled: boolean): Promise<void> {
  await sluice.query(
    'mutation ($ids: [ID!]!, $enabled: Boolean!) { enableSchedules(ids: $ids, enabled: $enabled) { id } }',
    { ids, enabled },
  );
}

/** The runs of all exports, the earliest first; up to a hundred. */
export async function runs(sluice: Sluice): Promise<RunAnswer[]> {
  const { exportRuns } = await sluice.query<{ exportRuns: { nodes: RunAnswer[] } }>(
    `{ exportRuns(first: 100) { nodes { ${RUN} } } }`,
  );
  return exportRuns.nodes.toReversed();
}

/** An export of a few people with a schedule of its own. */
export async function scheduledExport(engine: Engine, cron: string, timeZone = 'UTC'): Promise<string> {
  const id = await exportOf(engine, people(2), { name: cron });
  await schedule(engine.sluice, [id], { enabled: true, recurrence: 'CRON', cron, timeZone });
  return id;
}
