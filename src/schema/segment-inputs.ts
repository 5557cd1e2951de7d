import { GraphQLJSONObject } from 'graphql-scalars';
import { Field, InputType } from 'type-graphql';
import { SegmentKind } from '../entities/segment.js';

export const RULE =
  'Who belongs to it: `{"all": […]}`, `{"any": […]}` and `{"not": {…}}`, nested up to 5 deep, around conditions ' +
  '`{"attribute", "operator", "value"}`. Operators: equals, notEquals, contains, startsWith, endsWith, in, notIn, ' +
  'greaterThan, greaterThanOrEqual, lessThan, lessThanOrEqual, between, isEmpty, isNotEmpty, before, after, ' +
  'withinLastDays. `"ignoreCase": true` compares text without its case; `"as": "text" | "number" | "date"` says how to ' +
  'compare. docs/segments.md tells everything.';

@InputType({ description: 'A new segment.' })
export class CreateSegmentInput {
  @Field(() => String, { description: 'Unique among the segments, 1 to 200 characters.' })
  name!: string;

  @Field(() => SegmentKind, { defaultValue: SegmentKind.STATIC, description: 'How it gets its members.' })
  kind!: SegmentKind;

  @Field(() => GraphQLJSONObject, {
    nullable: true,
    description: `${RULE} For DYNAMIC segments alone, which need one.`,
  })
  rule?: Record<string, unknown> | null;
}

@InputType({ description: 'Changes to a segment. What is left out, or null, stays as it is.' })
export class UpdateSegmentInput {
  @Field(() => String, { nullable: true, description: 'Unique among the segments, 1 to 200 characters.' })
  name?: string | null;

  @Field(() => GraphQLJSONObject, { nullable: true, description: `${RULE} For DYNAMIC segments alone.` })
  rule?: Record<string, unknown> | null;
}
