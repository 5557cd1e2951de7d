import type { GraphQLSchema } from 'graphql';
import type { User } from '../entities/user.js';
import { fieldRuleOf, isAtLeast, ruleOf, type FieldRule } from '../security/permissions.js';
import { wrapFields } from './wrap-fields.js';

const ROOTS = ['Query', 'Mutation', 'Subscription'];

/**
 * Makes the fields of the table of permissions null for whoever may not read them, wherever in an answer they stand.
 * @throws if an operation has no rule: such a server must not start.
 */
export function guardFields(schema: GraphQLSchema): void {
  wrapFields(schema, (name, _field, resolve) => {
    const [type = ''] = name.split('.');
    if (ROOTS.includes(type) && ruleOf(name) === undefined) {
      throw new Error(`${name} has no rule in security/permissions.ts.`);
    }
    const rule = fieldRuleOf(name);
    if (rule === undefined) return undefined;
    return (source, args, context, info): unknown =>
      mayRead(context.user, rule, source) ? resolve(source, args, context, info) : null;
  });
}

function mayRead(reader: User, { least, orOneself }: FieldRule, source: unknown): boolean {
  return isAtLeast(reader.role, least) || (orOneself === true && (source as User).id === reader.id);
}
