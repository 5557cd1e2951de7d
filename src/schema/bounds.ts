import {
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isSpecifiedScalarType,
  type GraphQLInputType,
  type GraphQLSchema,
} from 'graphql';
import { BadInputError } from '../errors.js';
import { wrapFields, type Resolve } from './wrap-fields.js';

/** No text of the API is longer, names are shorter (names.ts). */
const MAX_CHARACTERS = 1_000;
const MAX_ITEMS = 100;
/** Lists that may be longer, by the place of the argument. */
const LONGER_LISTS: Readonly<Record<string, number>> = { 'Mutation.removeProfiles(ids)': 1_000 };
/** NUL, which databases refuse in text, and halves of surrogate pairs, which no UTF-8 can hold. */
const UNSTORABLE = /[\0\p{Cs}]/u;

/**
 * Gives every argument of the schema bounds, those that somebody will add tomorrow too. What a single input has to keep to
 * besides is checked where it is used.
 */
export function boundArguments(schema: GraphQLSchema): void {
  wrapFields(schema, (name, field, resolve) => {
    if (field.args.length === 0) return undefined;
    const bounded =
      (next: Resolve): Resolve =>
      (source, args: Record<string, unknown>, context, info): unknown => {
        for (const { name: argument, type } of field.args) {
          const maxItems = LONGER_LISTS[`${name}(${argument})`] ?? MAX_ITEMS;
          assertBounds(argument, type, args[argument], maxItems);
        }
        return next(source, args, context, info);
      };
    // Of a subscription, this is what the arguments come to first.
    if (field.subscribe) field.subscribe = bounded(field.subscribe);
    return bounded(resolve);
  });
}

/**
 * Refuses variables with a text that no argument takes. graphql-js looks at such a text several times before the arguments are
 * there: for an enum it compares it with each value. A stack of its own, because JSON of 100 kB can be 50,000 deep.
 * @throws {BadInputError} for one of the texts that are too long.
 */
export function boundVariables(variables: Readonly<Record<string, unknown>>): void {
  const left: { path: string; value: unknown }[] = inside('input', variables);
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { path, value } = next;
    if (typeof value === 'string') assertLength(path, value);
    else if (Array.isArray(value)) for (const item of value as unknown[]) left.push({ path, value: item });
    else if (typeof value === 'object' && value !== null) left.push(...inside(path, value));
  }
}

function inside(path: string, value: object): { path: string; value: unknown }[] {
  return Object.entries(value).map(([name, inner]) => ({
    path: pathTo(path, name),
    value: inner as unknown,
  }));
}

/** `input` is the name of a box, not of a thing. */
function pathTo(path: string, name: string): string {
  return path === 'input' ? name : `${path}.${name}`;
}

function assertBounds(path: string, type: GraphQLInputType, value: unknown, maxItems: number): void {
  if (value === null || value === undefined) return;
  if (isNonNullType(type)) {
    assertBounds(path, type.ofType, value, maxItems);
  } else if (isListType(type) && Array.isArray(value)) {
    if (value.length > maxItems) throw tooMany(path, value.length, maxItems);
    for (const item of value) assertBounds(path, type.ofType, item, maxItems);
  } else if (isInputObjectType(type)) {
    for (const field of Object.values(type.getFields())) {
      const inner = (value as Record<string, unknown>)[field.name];
      assertBounds(pathTo(path, field.name), field.type, inner, maxItems);
    }
  } else if (typeof value === 'string' && isSpecifiedScalarType(type) && !isEnumType(type)) {
    assertText(path, value);
  }
}

function assertLength(field: string, text: string): void {
  if (text.length <= MAX_CHARACTERS) return;
  throw new BadInputError(
    field,
    `${field} has ${text.length.toLocaleString('en')} characters.`,
    `Give at most ${MAX_CHARACTERS.toLocaleString('en')}.`,
  );
}

function assertText(field: string, text: string): void {
  assertLength(field, text);
  if (UNSTORABLE.test(text)) {
    throw new BadInputError(
      field,
      `${field} has a NUL or half a character in it, which cannot be stored.`,
      'Take it out.',
    );
  }
}

function tooMany(field: string, count: number, maxItems: number): BadInputError {
  return new BadInputError(
    field,
    `${field} has ${count.toLocaleString('en')} items.`,
    `Give at most ${maxItems.toLocaleString('en')} at a time.`,
  );
}
