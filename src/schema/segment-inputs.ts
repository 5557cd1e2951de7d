import { Field, InputType } from 'type-graphql';
import { SegmentKind } from '../entities/segment.js';

@InputType({ description: 'A new segment. It has no members until an import gives them.' })
export class CreateSegmentInput {
  @Field(() => String, { description: 'Unique among the segments, 1 to 200 characters.' })
  name!: string;

  @Field(() => SegmentKind, { defaultValue: SegmentKind.STATIC, description: 'How it gets its members.' })
  kind!: SegmentKind;
}

@InputType({ description: 'Changes to a segment. What is left out, or null, stays as it is.' })
export class UpdateSegmentInput {
  @Field(() => String, { nullable: true, description: 'Unique among the segments, 1 to 200 characters.' })
  name?: string | null;
}
