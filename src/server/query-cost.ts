import {
  getNullableType,
  getVariableValues,
  isListType,
  type DocumentNode,
  type GraphQLField,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { getComplexity, type ComplexityEstimator } from 'graphql-query-complexity';
import { DEFAULT_FIRST, MAX_FIRST } from '../page.js';

/** What is reckoned for lists without pages, like the segments of an export. */
const ROWS_OF_A_LIST = 10;

/**
 * How many fields the operation may answer: each counts one, those within a page as often as the page has rows, those
 * within any other list ten times. Undefined: its variables do not fit, so that it will not be executed.
 *
 * Walks fragments as often as they are spread: only for documents that passed documentLimits.
 */
export function costOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): number | undefined {
  const { errors } = getVariableValues(schema, operation.variableDefinitions ?? [], variables);
  if (errors !== undefined) return undefined;
  return getComplexity({
    schema,
    query: document,
    operationName: operation.name?.value,
    variables: { ...variables },
    estimators: [estimate],
    maxQueryNodes: Infinity,
  });
}

const estimate: ComplexityEstimator = ({ type, field, args, childComplexity }) =>
  1 + childComplexity * (type.name.startsWith('__') ? 1 : rowsOf(field, args));

function rowsOf(field: GraphQLField<unknown, unknown>, args: Readonly<Record<string, unknown>>): number {
  if (field.args.some(({ name }) => name === 'first')) {
    // What is out of bounds is refused before anything is read (see page.ts).
    const first = typeof args.first === 'number' ? args.first : DEFAULT_FIRST;
    return Math.min(Math.max(first, 1), MAX_FIRST);
  }
  // `nodes` are the rows of a page: its own field has counted them.
  return isListType(getNullableType(field.type)) && field.name !== 'nodes' ? ROWS_OF_A_LIST : 1;
}
