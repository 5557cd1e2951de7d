import {
  defaultFieldResolver,
  isIntrospectionType,
  isObjectType,
  type GraphQLField,
  type GraphQLFieldResolver,
  type GraphQLSchema,
} from 'graphql';
import type { Context } from './context.js';

export type Resolve = GraphQLFieldResolver<unknown, Context>;
export type Field = GraphQLField<unknown, Context>;

/**
 * Puts something around the resolvers of a schema. Both doors execute the same schema, so it holds at both.
 * @param wrap answers the new resolver; undefined: the field stays as it is. `name` is like `Query.me`.
 */
export function wrapFields(
  schema: GraphQLSchema,
  wrap: (name: string, field: Field, resolve: Resolve) => Resolve | undefined,
): void {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || isIntrospectionType(type)) continue;
    for (const field of Object.values(type.getFields()) as Field[]) {
      const wrapped = wrap(`${type.name}.${field.name}`, field, field.resolve ?? defaultFieldResolver);
      if (wrapped !== undefined) field.resolve = wrapped;
    }
  }
}
