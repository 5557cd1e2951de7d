import { ApolloServer, type ApolloServerPlugin } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled';
import { ApolloServerPluginLandingPageLocalDefault } from '@apollo/server/plugin/landingPage/default';
import type { GraphQLSchema } from 'graphql';
import type { Config } from '../config.js';
import type { Context } from '../schema/context.js';
import { formatGraphQLError } from './error-format.js';
import type { GraphQLGuards } from './graphql-guards.js';
import type { Requests } from './requests.js';

interface ApolloParts {
  readonly config: Pick<Config, 'production'>;
  readonly guards: GraphQLGuards;
  readonly requests: Requests;
}

/** What executes the GraphQL that comes over HTTP. It says nothing by itself: it is told what may be asked and read. */
export function createApollo(
  schema: GraphQLSchema,
  { config, guards, requests }: ApolloParts,
): ApolloServer<Context> {
  const landingPage = config.production
    ? ApolloServerPluginLandingPageDisabled()
    : ApolloServerPluginLandingPageLocalDefault();
  return new ApolloServer<Context>({
    schema,
    parseOptions: guards.parseOptions,
    validationRules: [...guards.rules],
    // Whether it may be asked is among the rules, for both doors.
    introspection: true,
    // GET is for queries, and for callers who can set a header: a page elsewhere cannot without being allowed to.
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    persistedQueries: false,
    formatError: (_formatted, error) => formatGraphQLError(error, requests.current()),
    includeStacktraceInErrorResponses: false,
    // What a signal does is decided in main.ts.
    stopOnTerminationSignals: false,
    // Nobody caches answers of this schema; looking for hints at every field takes a fifth of the time of an answer.
    plugins: [landingPage, ApolloServerPluginCacheControlDisabled(), costGuard(guards)],
  });
}

function costGuard(guards: GraphQLGuards): ApolloServerPlugin<Context> {
  return {
    requestDidStart: () =>
      Promise.resolve({
        didResolveOperation: ({ document, operation, request }) => {
          if (operation) guards.assertCost(document, operation, request.variables ?? {});
          return Promise.resolve();
        },
      }),
  };
}
