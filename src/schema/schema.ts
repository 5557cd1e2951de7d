import { lexicographicSortSchema, printSchema, type GraphQLSchema } from 'graphql';
import { buildSchema, type BuildSchemaOptions } from 'type-graphql';
import { auditRefusals } from './audit-refusals.js';
import { boundArguments } from './bounds.js';
import { guardFields } from './guard-fields.js';

export type ResolverClasses = readonly [new () => object, ...(new () => object)[]];

/** TypeGraphQL insists on one; subscriptions here bring iterators of their own (see exports/progress-hub.ts). */
const NO_PUB_SUB: BuildSchemaOptions['pubSub'] = {
  publish: refuseToPublish,
  subscribe: refuseToPublish,
};

/** What every operation can meet, whatever it is about. */
const EVERYWHERE =
  'Everything needs a token: without a valid one the answer is UNAUTHENTICATED. Who asks too often is RATE_LIMITED, with retryAfterSeconds; what asks for too much at once does not pass the validation.';

const ROOT_DESCRIPTIONS = {
  Query: `What can be asked. ${EVERYWHERE}`,
  Mutation: `What can be done. ${EVERYWHERE}`,
  Subscription:
    'What can be watched, over WebSocket (graphql-transport-ws) at /graphql, with connectionParams.authorization; 20 subscriptions a socket.',
};

/** The executable schema, made of the decorated classes. */
export async function createSchema([first, ...others]: ResolverClasses): Promise<GraphQLSchema> {
  const schema = await buildSchema({ resolvers: [first, ...others], pubSub: NO_PUB_SUB, validate: true });
  for (const [name, description] of Object.entries(ROOT_DESCRIPTIONS)) {
    // TypeGraphQL makes the root types by itself and describes none.
    const root = schema.getType(name);
    if (root) root.description = description;
  }
  // The last one is the outermost: what is out of bounds is written down as refused.
  guardFields(schema);
  boundArguments(schema);
  auditRefusals(schema);
  return schema;
}

/** The schema as text, in alphabetical order: moving code changes nothing. */
export function describeSchema(schema: GraphQLSchema): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`;
}

function refuseToPublish(): never {
  throw new Error('Nothing is published here: subscriptions bring their own iterators.');
}
