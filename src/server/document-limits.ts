import {
  GraphQLError,
  Kind,
  type ASTNode,
  type SelectionNode,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
} from 'graphql';
import type { DoorLimits } from './limits.js';

/** How large a selection is once its fragments are written out. */
interface Size {
  readonly depth: number;
  readonly aliases: number;
  /** Fields and fragments. */
  readonly selections: number;
}

const NOTHING: Size = { depth: 0, aliases: 0, selections: 0 };
/** graphql-js has a rule of its own for these (MaxIntrospectionDepthRule); its usual question is 13 deep. */
const INTROSPECTION: ReadonlySet<string> = new Set(['__schema', '__type']);

/**
 * A validation rule: no operation is too deep, has too many aliases, or grows too large when its fragments are written
 * out. Each fragment is measured once, so that fragments which double each other's size (two spreads of one that has two
 * spreads of one …) cost nothing here, and never reach whatever walks them one by one.
 */
export function documentLimits(limits: DoorLimits): ValidationRule {
  return (context) => ({
    OperationDefinition: (operation) => {
      const size = sizeOf(operation.selectionSet, context, new Map());
      const report = (what: string, remedy: string) => {
        context.reportError(tooMuch(what, remedy, operation));
      };
      if (size.depth > limits.depth) {
        report(`is nested ${size.depth} deep`, `Nest fields ${limits.depth} deep at most.`);
      }
      if (size.aliases > limits.aliases) {
        report(`has ${size.aliases} aliases`, `Give another name to ${limits.aliases} fields at most.`);
      }
      // More fields than it may cost, whatever the variables say.
      if (size.selections > limits.cost) report('is too large', 'Ask for less at once, in several requests.');
    },
  });
}

/** The refusal of an operation as GraphQL itself would put it. */
export function tooMuch(what: string, remedy: string, node?: ASTNode): GraphQLError {
  return new GraphQLError(`The operation ${what}.`, { nodes: node, extensions: { remedy } });
}

type Measured = Map<string, Size>;

function sizeOf(
  { selections }: Pick<SelectionSetNode, 'selections'>,
  context: ValidationContext,
  fragments: Measured,
): Size {
  return selections
    .map((selection) => sizeOfSelection(selection, context, fragments))
    .reduce(
      (sum, { depth, aliases, selections: count }) => ({
        depth: Math.max(sum.depth, depth),
        aliases: sum.aliases + aliases,
        selections: sum.selections + count,
      }),
      NOTHING,
    );
}

function sizeOfSelection(node: SelectionNode, context: ValidationContext, fragments: Measured): Size {
  switch (node.kind) {
    case Kind.FIELD: {
      const inner = node.selectionSet === undefined ? NOTHING : sizeOf(node.selectionSet, context, fragments);
      return {
        depth: INTROSPECTION.has(node.name.value) ? 1 : inner.depth + 1,
        aliases: inner.aliases + (node.alias === undefined ? 0 : 1),
        selections: inner.selections + 1,
      };
    }
    case Kind.INLINE_FRAGMENT: {
      const inner = sizeOf(node.selectionSet, context, fragments);
      return { ...inner, selections: inner.selections + 1 };
    }
    case Kind.FRAGMENT_SPREAD: {
      const inner = sizeOfFragment(node.name.value, context, fragments);
      return { ...inner, selections: inner.selections + 1 };
    }
  }
}

function sizeOfFragment(name: string, context: ValidationContext, fragments: Measured): Size {
  const known = fragments.get(name);
  if (known !== undefined) return known;
  // For a fragment that contains itself, which another rule refuses.
  fragments.set(name, NOTHING);
  const fragment = context.getFragment(name);
  const size = fragment ? sizeOf(fragment.selectionSet, context, fragments) : NOTHING;
  fragments.set(name, size);
  return size;
}
