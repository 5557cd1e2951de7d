import { GraphQLJSONObject } from 'graphql-scalars';
import { Field, ID, Int, ObjectType, registerEnumType } from 'type-graphql';
import type { Comparison } from '../profiles/comparable.js';
import type { SegmentPreview } from '../profiles/dynamic-segments.js';

enum RuleComparison {
  NUMBER = 'NUMBER',
  DATE = 'DATE',
  TEXT = 'TEXT',
}
registerEnumType(RuleComparison, {
  name: 'RuleComparison',
  description: 'How a condition of a rule compares values.',
  valuesConfig: {
    NUMBER: { description: 'As decimal numbers, with a point.' },
    DATE: { description: 'As moments, written by ISO 8601.' },
    TEXT: { description: 'As they are written. Every value is a text.' },
  },
});

const COMPARISONS: Record<Comparison, RuleComparison> = {
  text: RuleComparison.TEXT,
  number: RuleComparison.NUMBER,
  date: RuleComparison.DATE,
};

@ObjectType({ description: 'A profile that a rule finds.' })
export class PreviewedProfile {
  @Field(() => ID, { description: 'As the import gave it.' })
  id!: string;

  @Field(() => GraphQLJSONObject, { description: 'Its attributes, all text.' })
  attributes!: Record<string, string>;
}

@ObjectType('UnparsedValues', {
  description: 'Values of an attribute that a rule could not read as it asks.',
})
export class UnparsedValuesType {
  @Field(() => String, { description: 'The name of the attribute.' })
  attribute!: string;

  @Field(() => RuleComparison, { description: 'As what they were to be read.' })
  comparedAs!: RuleComparison;

  @Field(() => Int, { description: 'Profiles with such a value. An empty value is none.' })
  count!: number;
}

@ObjectType('SegmentPreview', { description: 'Who would belong to a segment with a rule.' })
export class SegmentPreviewType {
  @Field(() => Int, { description: 'How many profiles the rule finds.' })
  count!: number;

  @Field(() => [PreviewedProfile], { description: 'The first 100 of them by id.' })
  members!: PreviewedProfile[];

  @Field(() => [UnparsedValuesType], {
    description:
      'Values that do not parse: a condition on them neither matches nor, under `not`, makes a match.',
  })
  unparsed!: UnparsedValuesType[];
}

/** The preview as the schema has it. */
export function previewOf({ count, members, unparsed }: SegmentPreview): SegmentPreviewType {
  return {
    count,
    members: members.map(([id, attributes]) => ({ id, attributes })),
    unparsed: unparsed.map(({ attribute, comparedAs, count: values }) => ({
      attribute,
      comparedAs: COMPARISONS[comparedAs],
      count: values,
    })),
  };
}
