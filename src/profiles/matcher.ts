import { compareUtf8 } from '../bulk-sql.js';
import { emptyIfInvisible, hasVisibleCharacter } from '../visible.js';
import type { Attributes } from '../entities/profile.js';
import { foldCase, parseDate, parseNumber, type Comparison } from './comparable.js';
import type { Condition, Operator } from './condition.js';
import type { Rule } from './rule.js';

/** Values of one attribute that could not be read as a condition asks. */
export interface UnparsedValues {
  readonly attribute: string;
  /** As what they were to be read. */
  readonly comparedAs: Comparison;
  /** Profiles with such a value. */
  readonly count: number;
}

/** A rule made ready for many profiles. */
export interface Matcher {
  readonly matches: (attributes: Attributes) => boolean;
  /** Over all profiles that were asked about so far. */
  readonly unparsed: () => UnparsedValues[];
}

/**
 * What a part of a rule says of a profile. A value that does not parse says nothing, and `not` does not turn that into a
 * yes; so nobody becomes a member by a value that nobody can read. The order makes `all` the least and `any` the greatest.
 */
const NO = 0;
const UNKNOWN = 1;
const YES = 2;
type Verdict = typeof NO | typeof UNKNOWN | typeof YES;

const DAY_MS = 24 * 60 * 60_000;

/** @param nowMs the moment for `withinLastDays`: one for all profiles, however long it takes. */
export function createMatcher(rule: Rule, nowMs: number): Matcher {
  const columns = new Columns();
  const judge = compile(rule, columns, nowMs);
  return {
    matches: (attributes) => {
      columns.load(attributes);
      return judge() === YES;
    },
    unparsed: () => columns.unparsed(),
  };
}

/**
 * One attribute, read in one way: once for each profile, however many conditions ask. Everything is read, also where the
 * outcome is clear already: what is counted must not depend on the order of the conditions.
 */
class Column<T extends string | number> {
  /** Undefined: there is no value. */
  value: T | undefined;
  isUnknown = false;
  count = 0;

  constructor(
    readonly attribute: string,
    readonly comparedAs: Comparison,
    private readonly parse: (text: string) => T | undefined,
    private readonly isMissing: (text: string) => boolean,
  ) {}

  load(attributes: Attributes): void {
    const text = attributes[this.attribute] ?? '';
    const isMissing = this.isMissing(text);
    this.value = isMissing ? undefined : this.parse(text);
    this.isUnknown = !isMissing && this.value === undefined;
    if (this.isUnknown) this.count += 1;
  }
}

/** The columns that a rule reads, each once. */
class Columns {
  private readonly texts = new Map<string, Column<string>>();
  private readonly numbers = new Map<string, Column<number>>();

  load(attributes: Attributes): void {
    for (const column of this.texts.values()) column.load(attributes);
    for (const column of this.numbers.values()) column.load(attributes);
  }

  unparsed(): UnparsedValues[] {
    return [...this.numbers.values()]
      .filter(({ count }) => count > 0)
      .map(({ attribute, comparedAs, count }) => ({ attribute, comparedAs, count }));
  }

  text({ attribute, ignoreCase }: Condition): Column<string> {
    // An empty text is a text like any other.
    const parse = (text: string) => (ignoreCase ? foldCase(emptyIfInvisible(text)) : emptyIfInvisible(text));
    const make = () => new Column(attribute, 'text', parse, () => false);
    return getOrAdd(this.texts, `${ignoreCase} ${attribute}`, make);
  }

  number({ attribute, as }: Condition): Column<number> {
    const parse = as === 'date' ? parseDate : parseNumber;
    const make = () => new Column(attribute, as, parse, (text) => !hasVisibleCharacter(text));
    return getOrAdd(this.numbers, `${as} ${attribute}`, make);
  }
}

function compile(rule: Rule, columns: Columns, nowMs: number): () => Verdict {
  switch (rule.kind) {
    case 'NOT': {
      const judge = compile(rule.part, columns, nowMs);
      return () => (YES - judge()) as Verdict;
    }
    case 'ALL': {
      const judges = rule.parts.map((part) => compile(part, columns, nowMs));
      return () => judges.reduce<Verdict>((least, judge) => Math.min(least, judge()) as Verdict, YES);
    }
    case 'ANY': {
      const judges = rule.parts.map((part) => compile(part, columns, nowMs));
      return () => judges.reduce<Verdict>((greatest, judge) => Math.max(greatest, judge()) as Verdict, NO);
    }
    case 'CONDITION':
      return rule.as === 'text'
        ? judgeOf(columns.text(rule), textTest(rule))
        : judgeOf(columns.number(rule), numberTest(rule, nowMs));
  }
}

function judgeOf<T extends string | number>(
  column: Column<T>,
  test: (value: T | undefined) => boolean,
): () => Verdict {
  return () => {
    if (column.isUnknown) return UNKNOWN;
    return test(column.value) ? YES : NO;
  };
}

type TextTest = (value: string, first: string, all: ReadonlySet<string>) => boolean;

const isOneOf: TextTest = (value, _first, all) => all.has(value);
const isNoneOf: TextTest = (value, _first, all) => !all.has(value);

const TEXT_TESTS: Partial<Record<Operator, TextTest>> = {
  equals: isOneOf,
  in: isOneOf,
  notEquals: isNoneOf,
  notIn: isNoneOf,
  contains: (value, first) => value.includes(first),
  startsWith: (value, first) => value.startsWith(first),
  endsWith: (value, first) => value.endsWith(first),
  isEmpty: (value) => value === '',
  isNotEmpty: (value) => value !== '',
};

/** Each is below, at or above zero as the value is below, at or above the first and the second operand. */
type OrderTest = (toFirst: number, toSecond: number) => boolean;

const ORDER_TESTS: Partial<Record<Operator, OrderTest>> = {
  greaterThan: (toFirst) => toFirst > 0,
  after: (toFirst) => toFirst > 0,
  greaterThanOrEqual: (toFirst) => toFirst >= 0,
  lessThan: (toFirst) => toFirst < 0,
  before: (toFirst) => toFirst < 0,
  lessThanOrEqual: (toFirst) => toFirst <= 0,
  between: (toFirst, toSecond) => toFirst >= 0 && toSecond <= 0,
};

function orderTest({ operator }: Condition): OrderTest {
  const test = ORDER_TESTS[operator];
  if (test === undefined) throw new Error(`The operator ${operator} asks for no order`);
  return test;
}

function textTest(condition: Condition): (value: string | undefined) => boolean {
  const texts = condition.operands.map(String);
  const [first = '', second = first] = texts;
  const test = TEXT_TESTS[condition.operator];
  if (test !== undefined) {
    const all = new Set(texts);
    return (value = '') => test(value, first, all);
  }
  const isInOrder = orderTest(condition);
  // Nothing is neither before nor after anything.
  return (value = '') => value !== '' && isInOrder(compareUtf8(value, first), compareUtf8(value, second));
}

function numberTest(condition: Condition, nowMs: number): (value: number | undefined) => boolean {
  const { operator } = condition;
  const numbers = condition.operands.map(Number);
  const [first = 0, second = first] = numbers;
  const all = new Set(numbers);
  if (operator === 'equals' || operator === 'in') return (value) => value !== undefined && all.has(value);
  if (operator === 'notEquals' || operator === 'notIn')
    return (value) => value === undefined || !all.has(value);
  if (operator === 'withinLastDays') {
    // Whole days: a date without a time must not fall out in the course of its day.
    const since = nowMs - (nowMs % DAY_MS) - first * DAY_MS;
    return (value) => value !== undefined && value >= since && value <= nowMs;
  }
  const isInOrder = orderTest(condition);
  return (value) => value !== undefined && isInOrder(value - first, value - second);
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
