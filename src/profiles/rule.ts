import { BadInputError } from '../errors.js';
import { isCondition, parseCondition, type Condition } from './condition.js';

/** Who belongs to a dynamic segment: everything that JSON says of it, checked. */
export type Rule =
  | { readonly kind: 'ALL' | 'ANY'; readonly parts: readonly Rule[] }
  | { readonly kind: 'NOT'; readonly part: Rule }
  | Condition;

const MAX_DEPTH = 5;
const MAX_CONDITIONS = 100;
const SHAPE =
  'A rule is {"all": […]}, {"any": […]}, {"not": {…}} or a condition like {"attribute": "city", "operator": "equals", "value": "Brno"}.';

/**
 * Reads a rule: `{all: […]}`, `{any: […]}` and `{not: …}`, nested up to 5 deep, around conditions (see condition.ts).
 * Whether there are such attributes is not looked at.
 * @param field the name of the input; what is wrong is found below it, like `rule.all[1].value`.
 * @throws {BadInputError}
 */
export function parseRule(input: unknown, field = 'rule'): Rule {
  const rule = parsePart(input, field, 1);
  const conditions = conditionsOf(rule).length;
  if (conditions > MAX_CONDITIONS) {
    throw new BadInputError(
      field,
      `The rule has ${conditions} conditions.`,
      `Use at most ${MAX_CONDITIONS}; many values of one attribute fit into one condition with "in".`,
    );
  }
  return rule;
}

/** The conditions of a rule, in the order in which they are written. */
export function conditionsOf(rule: Rule): Condition[] {
  if (rule.kind === 'CONDITION') return [rule];
  return rule.kind === 'NOT' ? conditionsOf(rule.part) : rule.parts.flatMap(conditionsOf);
}

function parsePart(input: unknown, field: string, depth: number): Rule {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new BadInputError(field, 'This is not a rule.', SHAPE);
  }
  if (isCondition(input)) return parseCondition(input, field);
  const [[key, value] = ['', undefined], ...others] = Object.entries(input);
  if (others.length > 0 || !['all', 'any', 'not'].includes(key)) {
    throw new BadInputError(field, 'This is neither a condition nor exactly one of all, any and not.', SHAPE);
  }
  if (depth > MAX_DEPTH) {
    throw new BadInputError(
      field,
      `The rule is nested more than ${MAX_DEPTH} deep.`,
      'Write it flatter: an "all" within an "all", or an "any" within an "any", can be left out.',
    );
  }
  const place = `${field}.${key}`;
  if (key === 'not') return { kind: 'NOT', part: parsePart(value, place, depth + 1) };
  if (!Array.isArray(value) || value.length === 0) {
    throw new BadInputError(place, `"${key}" has no conditions.`, `Give "${key}" a list of at least one.`);
  }
  const parts = value.map((part: unknown, index) => parsePart(part, `${place}[${index}]`, depth + 1));
  return { kind: key === 'all' ? 'ALL' : 'ANY', parts };
}
