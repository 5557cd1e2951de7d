import { GraphQLJSONObject } from 'graphql-scalars';
import { Arg, Args, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { Segment, SegmentState, type SegmentSize } from '../entities/segment.js';
import type { Page } from '../page.js';
import {
  changeSegment,
  makeSegment,
  previewSegment,
  refreshSegment,
  switchSegment,
} from '../profiles/dynamic-segments.js';
import { getSegment, listSegments, listSizes, removeSegment } from '../profiles/segments.js';
import { authorise, type Context } from '../schema/context.js';
import { PageArguments } from '../schema/page-arguments.js';
import { SegmentPage, SegmentSizePage } from '../schema/pages.js';
import { previewOf, SegmentPreviewType } from '../schema/segment-preview.js';
import { CreateSegmentInput, RULE, UpdateSegmentInput } from '../schema/segment-inputs.js';

@Resolver(() => Segment)
export class SegmentResolver {
  @Query(() => SegmentPage, { description: 'All segments, the oldest first. Codes: BAD_USER_INPUT.' })
  segments(@Args(() => PageArguments) page: PageArguments, @Ctx() context: Context): Promise<Page<Segment>> {
    authorise(context);
    return listSegments(context.services, page);
  }

  @Query(() => Segment, { description: 'One segment. Codes: NOT_FOUND.' })
  segment(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Ctx() context: Context,
  ): Promise<Segment> {
    authorise(context);
    return getSegment(context.services, id);
  }

  @Query(() => SegmentPreviewType, {
    description:
      'How many profiles a rule finds now, and the first 100 of them. Stores nothing. Codes: BAD_USER_INPUT for a rule ' +
      'that cannot be used; `field` is the place in it.',
  })
  async previewSegment(
    @Arg('rule', () => GraphQLJSONObject, { description: RULE }) rule: Record<string, unknown>,
    @Ctx() context: Context,
  ): Promise<SegmentPreviewType> {
    authorise(context);
    return previewOf(await previewSegment(context.services, rule));
  }

  @Mutation(() => Segment, {
    description:
      'Makes a segment: a static one without members, which an import of profiles gives it; or a dynamic one with the ' +
      'members that its rule finds. Codes: BAD_USER_INPUT, CONFLICT when the name is taken.',
  })
  createSegment(
    @Arg('input', () => CreateSegmentInput, { description: 'The new segment.' }) input: CreateSegmentInput,
    @Ctx() context: Context,
  ): Promise<Segment> {
    authorise(context);
    return makeSegment(context.services, input);
  }

  @Mutation(() => Segment, {
    description:
      'Changes a segment; with its rule its members change, both at once. Codes: NOT_FOUND, BAD_USER_INPUT, CONFLICT ' +
      'when the name is taken.',
  })
  updateSegment(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Arg('input', () => UpdateSegmentInput, { description: 'What to change.' }) input: UpdateSegmentInput,
    @Ctx() context: Context,
  ): Promise<Segment> {
    authorise(context);
    return changeSegment(context.services, id, input);
  }

  @Mutation(() => Segment, {
    description:
      'Evaluates a dynamic segment again. Codes: NOT_FOUND, CONFLICT when it is static or inactive, BAD_USER_INPUT ' +
      'when its rule cannot be used any more.',
  })
  refreshSegment(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Ctx() context: Context,
  ): Promise<Segment> {
    authorise(context);
    return refreshSegment(context.services, id);
  }

  @Mutation(() => Segment, {
    description:
      'Lets exports use the segment, or pass over it. A run under way goes on. A dynamic segment that becomes active is ' +
      'evaluated. Codes: NOT_FOUND, BAD_USER_INPUT when its rule cannot be used any more.',
  })
  setSegmentState(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Arg('state', () => SegmentState, { description: 'The state that it is to have.' }) state: SegmentState,
    @Ctx() context: Context,
  ): Promise<Segment> {
    authorise(context);
    return switchSegment(context.services, id, state);
  }

  @Mutation(() => Boolean, {
    description: 'Removes a segment; its profiles stay. Codes: NOT_FOUND, CONFLICT while an export uses it.',
  })
  removeSegment(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    authorise(context);
    return removeSegment(context.services, id);
  }

  @FieldResolver(() => SegmentSizePage, {
    description:
      'How large it was whenever its members were given or evaluated, the latest first. Codes: BAD_USER_INPUT.',
  })
  history(
    @Root() { id }: Segment,
    @Args(() => PageArguments) page: PageArguments,
    @Ctx() context: Context,
  ): Promise<Page<SegmentSize>> {
    authorise(context);
    return listSizes(context.services, id, page);
  }
}
