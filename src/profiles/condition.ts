import { compareUtf8 } from '../bulk-sql.js';
import { BadInputError } from '../errors.js';
import { emptyIfInvisible } from '../visible.js';
import { foldCase, parseDate, parseNumber, type Comparison } from './comparable.js';
import { quote } from './rules.js';

/**
 * One condition of a rule: `{attribute, operator, value}`, with `as` and `ignoreCase` where wished.
 *
 * How it compares is decided by the rule alone, never by the data: `before`, `after` and `withinLastDays` compare dates;
 * `contains`, `startsWith` and `endsWith` text; all others numbers when `value` is a number, text when it is a text, and
 * what `as` says when it is there. A text that reads like a number or a date is refused without `as` by those that ask
 * for an order: as text "10" comes before "9".
 */
export interface Condition {
  readonly kind: 'CONDITION';
  /** Where it stands in the rule, for messages. */
  readonly field: string;
  readonly attribute: string;
  readonly operator: Operator;
  readonly as: Comparison;
  readonly ignoreCase: boolean;
  /** Numbers as they are, dates as ms since 1970, text folded under `ignoreCase`. None, one, two (between) or many (in). */
  readonly operands: readonly (string | number)[];
}

/** What `value` has to be. */
type Shape = 'NOTHING' | 'TEXT' | 'ONE' | 'LIST' | 'ORDERED' | 'PAIR' | 'DATE' | 'DAYS';

const SHAPES = {
  equals: 'ONE',
  notEquals: 'ONE',
  contains: 'TEXT',
  startsWith: 'TEXT',
  endsWith: 'TEXT',
  in: 'LIST',
  notIn: 'LIST',
  greaterThan: 'ORDERED',
  greaterThanOrEqual: 'ORDERED',
  lessThan: 'ORDERED',
  lessThanOrEqual: 'ORDERED',
  between: 'PAIR',
  isEmpty: 'NOTHING',
  isNotEmpty: 'NOTHING',
  before: 'DATE',
  after: 'DATE',
  withinLastDays: 'DAYS',
} as const satisfies Record<string, Shape>;

export type Operator = keyof typeof SHAPES;

const KEYS = ['attribute', 'operator', 'value', 'as', 'ignoreCase'];
const COMPARISONS: readonly Comparison[] = ['text', 'number', 'date'];
/** As every list of an input (schema/bounds.ts): JSON is no way around what is promised of them. */
const MAX_LIST = 100;
const MAX_DAYS = 36_500;

/** Whether the object is meant to be a condition. */
export function isCondition(input: object): boolean {
  return 'attribute' in input || 'operator' in input;
}

/** @throws {BadInputError} */
export function parseCondition(input: object, field: string): Condition {
  const { attribute, operator, value, as, ignoreCase = false } = input as Record<string, unknown>;
  const strange = Object.keys(input).find((key) => !KEYS.includes(key));
  if (strange !== undefined) {
    throw refusal(
      `${field}.${quoteless(strange)}`,
      `A condition has no ${quote(strange)}.`,
      `It has ${KEYS.join(', ')}.`,
    );
  }
  if (typeof attribute !== 'string') {
    throw refusal(
      `${field}.attribute`,
      'The condition names no attribute.',
      'Name one of profileAttributes.',
    );
  }
  if (typeof operator !== 'string' || !isOperator(operator)) {
    throw refusal(
      `${field}.operator`,
      typeof operator === 'string'
        ? `There is no operator ${quote(operator)}.`
        : 'The condition has no operator.',
      `The operators are ${Object.keys(SHAPES).join(', ')}.`,
    );
  }
  if (typeof ignoreCase !== 'boolean') {
    throw refusal(
      `${field}.ignoreCase`,
      'ignoreCase is neither true nor false.',
      'Say true or false, or leave it out.',
    );
  }
  const shape: Shape = SHAPES[operator];
  const given = valuesOf(value, shape, `${field}.value`);
  const comparison = comparisonOf(shape, given, as, field);
  if (ignoreCase && comparison !== 'text') {
    throw refusal(`${field}.ignoreCase`, `A ${comparison} has no case.`, 'Leave ignoreCase out.');
  }
  const operands = given.map((one) => parseOperand(one, shape, comparison, ignoreCase, `${field}.value`));
  refuseEmptyRange(operands, shape, `${field}.value`);
  return { kind: 'CONDITION', field, attribute, operator, as: comparison, ignoreCase, operands };
}

function isOperator(text: string): text is Operator {
  return Object.hasOwn(SHAPES, text);
}

/** The values as they are written, as many as the operator takes. */
function valuesOf(value: unknown, shape: Shape, field: string): (string | number)[] {
  if (shape === 'NOTHING') {
    if (value === undefined || value === null) return [];
    throw refusal(field, 'The operator takes no value.', 'Leave value out.');
  }
  const isMany = shape === 'LIST' || shape === 'PAIR';
  if (isMany !== Array.isArray(value)) {
    throw refusal(
      field,
      isMany ? 'The operator takes a list.' : 'The operator takes one value.',
      shape === 'PAIR'
        ? 'Give [from, to]; both belong to it.'
        : `Give ${isMany ? 'a list of values' : 'one'}.`,
    );
  }
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (shape === 'PAIR' && values.length !== 2) {
    throw refusal(field, `between has ${values.length} values.`, 'Give [from, to]; both belong to it.');
  }
  if (values.length === 0 || values.length > MAX_LIST) {
    throw refusal(
      field,
      `The list has ${values.length.toLocaleString('en')} values.`,
      `Give 1 to ${MAX_LIST}; for more, put several conditions under "any" (with "in") or "all" (with "notIn").`,
    );
  }
  return values.map((one) => {
    if (typeof one === 'string' || (typeof one === 'number' && Number.isFinite(one))) return one;
    throw refusal(
      field,
      'The value is neither a text nor a number.',
      'Write "…" or a number; true is "true", as imported.',
    );
  });
}

function comparisonOf(
  shape: Shape,
  given: readonly (string | number)[],
  as: unknown,
  field: string,
): Comparison {
  if (as !== undefined && !COMPARISONS.some((known) => known === as)) {
    throw refusal(
      `${field}.as`,
      'as says none of text, number and date.',
      'Say one of them, or leave it out.',
    );
  }
  const own: Comparison | undefined =
    shape === 'DATE' || shape === 'DAYS'
      ? 'date'
      : shape === 'TEXT' || shape === 'NOTHING'
        ? 'text'
        : undefined;
  if (own !== undefined) {
    if (as === undefined || as === own) return own;
    throw refusal(
      `${field}.as`,
      `The operator compares as ${own}.`,
      'Leave as out, or use another operator.',
    );
  }
  if (as !== undefined) return as as Comparison;
  const isNumber = given.map((one) => typeof one === 'number');
  if (new Set(isNumber).size > 1) {
    throw refusal(`${field}.value`, 'Some values are numbers and some are texts.', 'Write all in one way.');
  }
  if (isNumber[0]) return 'number';
  const unclear =
    shape === 'ORDERED' || shape === 'PAIR' ? given.find((one) => readsOtherwise(String(one))) : undefined;
  if (unclear === undefined) return 'text';
  throw refusal(
    `${field}.value`,
    `It is not clear whether ${quote(String(unclear))} is a text, a number or a date; as text, "10" comes before "9".`,
    'Write a number without quotes, or say "as": "number", "as": "date" or "as": "text".',
  );
}

function readsOtherwise(text: string): boolean {
  return parseNumber(text) !== undefined || parseDate(text) !== undefined;
}

function parseOperand(
  given: string | number,
  shape: Shape,
  comparison: Comparison,
  ignoreCase: boolean,
  field: string,
): string | number {
  if (shape === 'DAYS') {
    if (typeof given === 'number' && Number.isInteger(given) && given >= 1 && given <= MAX_DAYS) return given;
    throw refusal(field, 'This is no number of days.', `Give a whole number from 1 to ${MAX_DAYS}.`);
  }
  if (comparison === 'number') {
    const number = typeof given === 'number' ? given : parseNumber(given);
    if (number !== undefined) return number;
    throw refusal(field, `${quote(String(given))} is no number.`, 'Write it like 1200.5, without quotes.');
  }
  if (typeof given === 'number') {
    throw refusal(field, 'The operator takes a text.', 'Write the value in quotes.');
  }
  if (comparison === 'date') {
    const moment = parseDate(given);
    if (moment !== undefined) return moment;
    throw refusal(
      field,
      `${quote(given)} is no date.`,
      'Write it like 2026-11-30 or 2026-11-30T12:00:00Z (ISO 8601; without an offset it is UTC).',
    );
  }
  if (shape === 'TEXT' && given === '') {
    throw refusal(field, 'The text is empty, so that everybody would match.', 'Give a text.');
  }
  // As the values that it is compared with. A part of a text may be a space, and an order needs no value that is there.
  const text = shape === 'ONE' || shape === 'LIST' ? emptyIfInvisible(given) : given;
  return ignoreCase ? foldCase(text) : text;
}

function refuseEmptyRange(operands: readonly (string | number)[], shape: Shape, field: string): void {
  const [from, to] = operands;
  if (shape !== 'PAIR' || from === undefined || to === undefined) return;
  const isEmpty = typeof from === 'string' && typeof to === 'string' ? compareUtf8(from, to) > 0 : from > to;
  if (isEmpty) throw refusal(field, 'Nothing lies between these two.', 'Put the smaller one first.');
}

function refusal(field: string, message: string, remedy: string): BadInputError {
  return new BadInputError(field, message, remedy);
}

/** A key of somebody else's as a part of a path. */
function quoteless(key: string): string {
  return quote(key).slice(1, -1);
}
