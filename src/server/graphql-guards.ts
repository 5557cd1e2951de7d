import {
  GraphQLError,
  NoSchemaIntrospectionCustomRule,
  type DocumentNode,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type ParseOptions,
  type ValidationRule,
} from 'graphql';
import { ApolloServerErrorCode } from '@apollo/server/errors';
import { BadInputError } from '../errors.js';
import { boundVariables } from '../schema/bounds.js';
import { documentLimits, tooMuch } from './document-limits.js';
import type { DoorLimits } from './limits.js';
import { costOf } from './query-cost.js';

/**
 * What keeps an operation from asking too much. Apollo and graphql-ws parse and validate each for themselves, so both
 * doors are given the same three things.
 */
export interface GraphQLGuards {
  readonly parseOptions: ParseOptions;
  /** Beside those of the GraphQL specification. */
  readonly rules: readonly ValidationRule[];
  /**
   * The last check, of a valid operation with its variables: they say how long the lists are to be.
   * @throws {GraphQLError} if it costs too much, or a variable has a text that no argument takes.
   */
  readonly assertCost: (
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Readonly<Record<string, unknown>>,
  ) => void;
}

export function createGuards(
  schema: GraphQLSchema,
  { limits, introspection }: { limits: DoorLimits; introspection: boolean },
): GraphQLGuards {
  return {
    parseOptions: { maxLexicalTokens: limits.tokens },
    rules: [documentLimits(limits), ...(introspection ? [] : [NoSchemaIntrospectionCustomRule])],
    assertCost: (document, operation, variables) => {
      assertVariables(operation, variables);
      const cost = costOf(schema, document, operation, variables);
      if (cost === undefined || cost <= limits.cost) return;
      const remedy = `Ask for fewer rows or fields at once: each field counts once a row, up to ${limits.cost}.`;
      const { message, extensions } = tooMuch(`may answer ${cost} fields`, remedy);
      throw new GraphQLError(message, {
        nodes: operation,
        extensions: {
          ...extensions,
          code: ApolloServerErrorCode.GRAPHQL_VALIDATION_FAILED,
          http: { status: 400 },
        },
      });
    },
  };
}

function assertVariables(
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): void {
  try {
    boundVariables(variables);
  } catch (error: unknown) {
    if (!(error instanceof BadInputError)) throw error;
    throw new GraphQLError(error.message, {
      nodes: operation,
      originalError: error,
      extensions: { code: ApolloServerErrorCode.BAD_USER_INPUT, http: { status: 400 } },
    });
  }
}
