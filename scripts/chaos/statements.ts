import type { Topic } from './points.js';

/** A statement as the driver gets it. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** What a statement tells: its topics, or, if it commits, those of its whole transaction. */
export interface Finding {
  readonly isCommit: boolean;
  readonly topics: ReadonlySet<Topic>;
  /** Receipts that become durable with this commit. */
  readonly receipts: readonly string[];
}

const FINAL_STATES = ['SUCCEEDED', 'SUCCEEDED_WITH_WARNINGS', 'FAILED', 'CANCELED', 'SKIPPED'];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-/;
const WRITES = /^\s*(?:INSERT|UPDATE|DELETE)\b/i;

/** Runs that are at something, whichever connections are at work on them. */
export class RunsUnderWay {
  readonly preparing = new Set<string>();
  readonly canceling = new Set<string>();
}

/**
 * Understands what a connection that writes is doing, by the names of tables, columns and states alone: these are the
 * design's own, whatever statements come to use them.
 */
export class StatementWatcher {
  private topics = new Set<Topic>();
  private receipts: string[] = [];

  constructor(private readonly underWay = new RunsUnderWay()) {}

  look(statement: Statement): Finding {
    const { sql } = statement;
    // Alone, or the last of several.
    if (/(?:^|;)\s*(?:COMMIT|ROLLBACK)(?:\s*;)?$/i.test(sql.trimEnd())) {
      const isCommit = /COMMIT/i.test(sql);
      const finding = { isCommit, topics: this.topics, receipts: this.receipts };
      if (isCommit) this.topics.add('ANYTHING');
      this.topics = new Set();
      this.receipts = [];
      return finding;
    }
    const topics = new Set(this.topicsOf(statement));
    for (const topic of topics) this.topics.add(topic);
    return { isCommit: false, topics, receipts: [] };
  }

  private *topicsOf(statement: Statement): Generator<Topic> {
    const { sql } = statement;
    if (/^\s*CREATE (?:TABLE|(?:UNIQUE )?INDEX)|^\s*INSERT INTO "migrations"/i.test(sql)) yield 'MIGRATION';
    if (!WRITES.test(sql)) return;
    if (/^\s*UPDATE "ledger_entries" SET "removals" = NULL/i.test(sql)) yield 'EARLIER_REMOVALS';
    if (/^\s*(?:INSERT INTO|UPDATE) "(?:profiles|segment_members)"/i.test(sql)) yield 'IMPORT';
    if (/^\s*UPDATE "segments"/i.test(sql) && assigned(statement).has('generation')) yield 'SWAP';
    if (/^\s*INSERT INTO "export_runs"/i.test(sql)) yield 'REQUEST';
    if (/^\s*(?:INSERT INTO|UPDATE) "batches"/i.test(sql)) yield* this.topicsOfBatch(statement);
    if (/^\s*UPDATE "export_runs"/i.test(sql)) yield* this.topicsOfRun(statement);
    if (this.underWay.preparing.size > 0) yield 'PREPARING';
    if (this.underWay.canceling.size > 0) yield 'CANCELING';
  }

  private *topicsOfBatch(statement: Statement): Generator<Topic> {
    // The state stands in the statement, or in its parameters, perhaps in rows as JSON.
    const states = [assigned(statement).get('state'), ...statement.parameters];
    if (mentions(states, 'SENDING')) yield 'INTENT';
    if (mentions(states, 'ACCEPTED')) yield 'RECEIPT';
    if (['SETTLED', 'UNCONFIRMED'].some((state) => mentions(states, state))) yield 'DECISION';
    this.receipts.push(...statement.parameters.flatMap(receiptsIn));
  }

  private *topicsOfRun(statement: Statement): Generator<Topic> {
    const values = assigned(statement);
    const run = String(statement.parameters.find((value) => typeof value === 'string' && UUID.test(value)));
    const state = values.get('state');
    const phase = values.get('phase');
    if (phase === 'PREPARING') this.underWay.preparing.add(run);
    else if (phase !== undefined) this.underWay.preparing.delete(run);
    if (phase === 'SENDING') yield 'PREPARED';
    if (phase === 'CONFIRMING') yield 'CONFIRMING';
    if (state === 'CANCELING') {
      yield 'CANCEL';
      this.underWay.canceling.add(run);
    }
    if (typeof state !== 'string' || !FINAL_STATES.includes(state)) return;
    yield 'CLOSE';
    // A queued run that is cancelled ends with the cancel; this one was under way.
    if (state === 'CANCELED' && phase === null) yield 'CLOSE_CANCELED';
    this.underWay.canceling.delete(run);
  }
}

/** Of rows as JSON, those that were accepted: their only UUID is the receipt. */
function receiptsIn(parameter: unknown): string[] {
  if (typeof parameter !== 'string' || !parameter.startsWith('[[')) return [];
  const rows = JSON.parse(parameter) as unknown[][];
  return rows
    .filter((row) => row.includes('ACCEPTED'))
    .flatMap((row) => row.filter((value) => typeof value === 'string' && UUID.test(value)) as string[]);
}

function mentions(values: readonly unknown[], state: string): boolean {
  return values.some(
    (value) => value === state || (typeof value === 'string' && value.includes(`"${state}"`)),
  );
}

/** The columns that an UPDATE sets, with their values; expressions as they are written. */
function assigned({ sql, parameters }: Statement): Map<string, unknown> {
  const values = new Map<string, unknown>();
  const clause = /\bSET\b([\s\S]*?)(?:\bWHERE\b|$)/i.exec(sql)?.[1] ?? '';
  let place = 0;
  for (const [, column = '', value = ''] of clause.matchAll(/"(\w+)" = (\?|\$\d+|'[^']*'|[^,]+)/g)) {
    if (value === '?') values.set(column, parameters[place++]);
    else if (value.startsWith('$')) values.set(column, parameters[Number(value.slice(1)) - 1]);
    else if (value.startsWith("'")) values.set(column, value.slice(1, -1));
    else {
      // TypeORM writes numbers and NULL out; an expression may hold parameters.
      values.set(column, value.trim() === 'NULL' ? null : value.trim());
      place += value.split('?').length - 1;
    }
  }
  return values;
}
