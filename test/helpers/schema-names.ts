import {
  astFromValue,
  isEnumType,
  isInputObjectType,
  isIntrospectionType,
  isObjectType,
  isScalarType,
  isSpecifiedScalarType,
  print,
  type GraphQLArgument,
  type GraphQLInputField,
  type GraphQLNamedType,
  type GraphQLSchema,
} from 'graphql';

export interface SchemaEntry {
  /** What clients rely on: kind or type, nullability, default. */
  readonly signature: string;
  readonly description: string | null | undefined;
  /** Whether a request that does not name it is refused. */
  readonly required: boolean;
}

/** Everything in a schema that has a name: `Type`, `Type.field`, `Type.field(argument)`, `Enum.VALUE`. */
export function namesOf(schema: GraphQLSchema): Map<string, SchemaEntry> {
  const names = new Map<string, SchemaEntry>();
  for (const type of Object.values(schema.getTypeMap())) {
    if (isIntrospectionType(type) || isSpecifiedScalarType(type)) continue;
    names.set(type.name, { signature: kindOf(type), description: type.description, required: false });
    for (const [name, entry] of membersOf(type)) names.set(`${type.name}.${name}`, entry);
  }
  return names;
}

/** The name itself, then what it belongs to. */
export function lineage(name: string): string[] {
  const field = name.replace(/\(.*$/, '');
  return [name, field, field.replace(/\..*$/, '')];
}

function kindOf(type: GraphQLNamedType): string {
  if (isObjectType(type)) return 'type';
  if (isInputObjectType(type)) return 'input';
  if (isEnumType(type)) return 'enum';
  return isScalarType(type) ? 'scalar' : 'abstract type';
}

function* membersOf(type: GraphQLNamedType): Iterable<[string, SchemaEntry]> {
  if (isEnumType(type)) {
    for (const { name, description } of type.getValues()) {
      yield [name, { signature: 'value', description, required: false }];
    }
  } else if (isInputObjectType(type)) {
    for (const field of Object.values(type.getFields())) yield [field.name, inputEntry(field)];
  } else if (isObjectType(type)) {
    for (const { name, type: answer, description, args } of Object.values(type.getFields())) {
      yield [name, { signature: String(answer), description, required: false }];
      for (const argument of args) yield [`${name}(${argument.name})`, inputEntry(argument)];
    }
  }
}

function inputEntry({ type, defaultValue, description }: GraphQLArgument | GraphQLInputField): SchemaEntry {
  const value = defaultValue === undefined ? undefined : astFromValue(defaultValue, type);
  const isNonNull = String(type).endsWith('!');
  return {
    signature: value ? `${String(type)} = ${print(value)}` : String(type),
    description,
    required: isNonNull && !value,
  };
}
