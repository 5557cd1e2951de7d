import type { Database } from '../database.js';
import { AuditEvent } from '../entities/audit-event.js';
import { readPage, type Page, type PageRequest } from '../page.js';

/** Which events are asked for; what is left out, or null, does not matter. */
export interface AuditFilter {
  readonly actorId?: string | null;
  readonly action?: string | null;
  readonly subjectType?: string | null;
  readonly subjectId?: string | null;
  /** Inclusive. */
  readonly from?: Date | null;
  /** Exclusive. */
  readonly to?: Date | null;
}

const EQUAL = ['actorId', 'action', 'subjectType', 'subjectId'] as const;

/** Events, the latest first. @throws {BadInputError} for a page that cannot be read. */
export async function listAuditEvents(
  { database }: { readonly database: Database },
  page: PageRequest,
  filter: AuditFilter = {},
): Promise<Page<AuditEvent>> {
  const query = database.reader.createQueryBuilder(AuditEvent, 'event');
  for (const column of EQUAL) {
    const value = filter[column];
    if (value !== undefined && value !== null)
      query.andWhere(`event.${column} = :${column}`, { [column]: value });
  }
  if (filter.from) query.andWhere('event.at >= :from', { from: filter.from.toISOString() });
  if (filter.to) query.andWhere('event.at < :to', { to: filter.to.toISOString() });
  return readPage(query, page, 'DESC');
}
