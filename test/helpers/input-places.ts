import {
  isInputObjectType,
  isListType,
  isNonNullType,
  isSpecifiedScalarType,
  type GraphQLInputType,
  type GraphQLSchema,
} from 'graphql';
import { SAMPLES, type Call, type GraphQLOperation } from './operations.js';

/** A place in the arguments of an operation where a value stands that has no fields, or a list. */
export interface Place {
  readonly operation: GraphQLOperation;
  readonly argument: string;
  /** Of the argument: `input.mapping.email`. */
  readonly path: string;
  readonly isList: boolean;
  /** A String or an ID, which any text fits. */
  readonly isText: boolean;
  /** What such a list may hold, or such a text. */
  readonly item: string;
  /** Of the argument. */
  readonly type: string;
}

/** Every list, and every value without fields, that a query or a mutation takes. */
export function placesOf(schema: GraphQLSchema): Place[] {
  const operations = (Object.keys(SAMPLES) as GraphQLOperation[]).filter(
    (name) => !name.startsWith('Subscription.'),
  );
  const inside = (
    type: GraphQLInputType,
    path: string,
  ): Pick<Place, 'path' | 'isList' | 'isText' | 'item'>[] => {
    if (isNonNullType(type)) return inside(type.ofType, path);
    if (isListType(type)) return [{ path, isList: true, isText: false, item: itemOf(type.ofType) }];
    if (isInputObjectType(type)) {
      return Object.values(type.getFields()).flatMap((field) => inside(field.type, `${path}.${field.name}`));
    }
    const isText = isSpecifiedScalarType(type) && ['String', 'ID'].includes(type.name);
    return [{ path, isList: false, isText, item: 'x' }];
  };
  return operations.flatMap((operation) =>
    fieldOf(schema, operation).args.flatMap(({ name, type }) =>
      inside(type, name).map((place) => ({ operation, argument: name, type: String(type), ...place })),
    ),
  );
}

/** The operation with this value at the place; what else has to be there is valid. */
export function callAt(schema: GraphQLSchema, place: Place, value: unknown): Call {
  const { operation, argument, type } = place;
  const [root = '', name = ''] = operation.split('.');
  return {
    document: `${root.toLowerCase()} ($value: ${type}) {
      ${name}(${others(schema, place)}${argument}: $value) ${selection(schema, operation)} }`,
    variables: { value: nest(schema, place, value) },
  };
}

function fieldOf(schema: GraphQLSchema, operation: GraphQLOperation) {
  const [root = '', name = ''] = operation.split('.');
  const type = schema.getType(root);
  const field = type && 'getFields' in type ? type.getFields()[name] : undefined;
  if (field === undefined || !('args' in field)) throw new Error(`There is no ${operation}.`);
  return field;
}

/** The other arguments that have to be there, by any valid value. */
function others(schema: GraphQLSchema, { operation, argument }: Place): string {
  return fieldOf(schema, operation)
    .args.filter(
      ({ name, type, defaultValue }) =>
        name !== argument && isNonNullType(type) && defaultValue === undefined,
    )
    .map(({ name, type }) => `${name}: ${literal(type)}, `)
    .join('');
}

function literal(type: GraphQLInputType): string {
  if (isNonNullType(type)) return literal(type.ofType);
  if (isListType(type)) return `[${literal(type.ofType)}]`;
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields()).filter(
      (field) => isNonNullType(field.type) && field.defaultValue === undefined,
    );
    return `{ ${fields.map((field) => `${field.name}: ${literal(field.type)}`).join(', ')} }`;
  }
  if ('getValues' in type) return type.getValues()[0]?.name ?? '';
  return { Int: '1', Float: '1', Boolean: 'true', DateTime: '"2026-01-01T00:00:00Z"' }[type.name] ?? '"x"';
}

/** The value at its place in the argument, with what else has to be there. */
function nest(schema: GraphQLSchema, { operation, argument, path }: Place, value: unknown): unknown {
  const inside = path.slice(argument.length + 1);
  if (inside === '') return value;
  const definition = fieldOf(schema, operation).args.find(({ name }) => name === argument);
  const fill = (type: GraphQLInputType, rest: string[]): unknown => {
    if (isNonNullType(type)) return fill(type.ofType, rest);
    if (!isInputObjectType(type)) return rest.length === 0 ? value : undefined;
    const [head, ...tail] = rest;
    return Object.fromEntries(
      Object.values(type.getFields()).flatMap((field) => {
        if (field.name === head) return [[field.name, fill(field.type, tail)]];
        if (!isNonNullType(field.type) || field.defaultValue !== undefined) return [];
        return [[field.name, plain(field.type)]];
      }),
    );
  };
  return definition && fill(definition.type, inside.split('.'));
}

function plain(type: GraphQLInputType): unknown {
  if (isNonNullType(type)) return plain(type.ofType);
  if (isListType(type)) return [plain(type.ofType)];
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields()).filter(
      (field) => isNonNullType(field.type) && field.defaultValue === undefined,
    );
    return Object.fromEntries(fields.map((field) => [field.name, plain(field.type)]));
  }
  if ('getValues' in type) return type.getValues()[0]?.name;
  return { Int: 1, Float: 1, Boolean: true, DateTime: '2026-01-01T00:00:00Z' }[type.name] ?? 'x';
}

function selection(schema: GraphQLSchema, operation: GraphQLOperation): string {
  const answer = String(fieldOf(schema, operation).type).replace(/[[\]!]/g, '');
  const type = schema.getType(answer);
  return type && 'getFields' in type ? '{ __typename }' : '';
}

function itemOf(type: GraphQLInputType): string {
  if (isNonNullType(type)) return itemOf(type.ofType);
  return 'getValues' in type ? (type.getValues()[0]?.name ?? '') : 'x';
}
