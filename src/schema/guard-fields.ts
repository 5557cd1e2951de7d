import { isIntrospectionType, isObjectType, type GraphQLSchema } from 'graphql';
import type { Connection } from '../entities/connection.js';
import { Role, type User } from '../entities/user.js';
import { ForbiddenError } from '../errors.js';
import {
  fieldRuleOf,
  isGuarded,
  isOpaque,
  OPEN_TYPES,
  type FieldRule,
} from '../security/field-permissions.js';
import { isAtLeast, ruleOf } from '../security/permissions.js';
import { mayUse, roleTooLow } from './authorise.js';
import { wrapFields } from './wrap-fields.js';

const ROOTS = ['Query', 'Mutation', 'Subscription'];

/**
 * Keeps the fields of the table of field permissions from whoever may not read them, wherever in an answer they stand: they
 * are null or FORBIDDEN, as their rule says, and nothing is looked up for them.
 * @throws if an operation, a type or a field of a guarded type has no rule: such a server must not start.
 */
export function guardFields(schema: GraphQLSchema): void {
  assertTypesAreKnown(schema);
  wrapFields(schema, (name, _field, resolve) => {
    const [type = ''] = name.split('.');
    if (ROOTS.includes(type)) {
      if (ruleOf(name) === undefined) throw new Error(`${name} has no rule in security/permissions.ts.`);
      return undefined;
    }
    const rule = fieldRuleOf(name);
    if (rule === undefined) {
      if (isGuarded(type)) throw new Error(`${name} has no rule in security/field-permissions.ts.`);
      return undefined;
    }
    if (isForEverybody(rule)) return undefined;
    return (source, args, context, info): unknown => {
      assertMayUse(context.user, rule, source);
      if (mayRead(context.user, rule, source)) return resolve(source, args, context, info);
      if (rule.orOpaque === true) return opaqueOrNull(resolve(source, args, context, info));
      if (rule.otherwise === 'FORBIDDEN') throw roleTooLow(rule.least);
      return null;
    };
  });
}

function assertTypesAreKnown(schema: GraphQLSchema): void {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || isIntrospectionType(type) || ROOTS.includes(type.name)) continue;
    if (isGuarded(type.name) === OPEN_TYPES.includes(type.name)) {
      throw new Error(
        `${type.name} must be either in GUARDED_TYPES or in OPEN_TYPES of security/field-permissions.ts.`,
      );
    }
  }
}

function opaqueOrNull(id: unknown): string | null {
  return typeof id === 'string' && isOpaque(id) ? id : null;
}

function isForEverybody({ least, ofUsableConnection }: FieldRule): boolean {
  return least === Role.VIEWER && ofUsableConnection === undefined;
}

/** @throws {ForbiddenError} for a field of a connection that the reader may not use. */
function assertMayUse(reader: User, { ofUsableConnection }: FieldRule, source: unknown): void {
  if (ofUsableConnection === undefined || mayUse(reader, source as Connection)) return;
  throw new ForbiddenError(
    'You may not use this connection: only its id, displayName, kind and state are shown to you.',
    'Leave the field out, or ask an administrator to share the connection with contributors (shareConnection).',
  );
}

function mayRead(reader: User, { least, orOneself }: FieldRule, source: unknown): boolean {
  return isAtLeast(reader.role, least) || (orOneself === true && (source as User).id === reader.id);
}
