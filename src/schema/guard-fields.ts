import type { GraphQLSchema } from 'graphql';
import { Role, type User } from '../entities/user.js';
import { FIELDS, isAtLeast, ruleOf } from '../security/permissions.js';
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
    if (name === 'User.email') {
      return (user, args, context, info): unknown =>
        mayReadEmail(context.user, user as User) ? resolve(user, args, context, info) : null;
    }
    const least = FIELDS[name];
    if (least === undefined) return undefined;
    return (source, args, context, info): unknown =>
      isAtLeast(context.user.role, least) ? resolve(source, args, context, info) : null;
  });
}

function mayReadEmail(reader: User, { id }: User): boolean {
  return reader.role === Role.ADMINISTRATOR || reader.id === id;
}
