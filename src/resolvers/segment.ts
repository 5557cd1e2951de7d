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
import { authorise } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';
import { PageArguments } from '../schema/page-arguments.js';
import { SegmentPage, SegmentSizePage } from '../schema/pages.js';
import { previewOf, SegmentPreviewType } from '../schema/segment-preview.js';
import { CreateSegmentInput, RULE, UpdateSegmentInput } from '../schema/segment-inputs.js';

@Resolver(() => Segment)
export class SegmentResolver {
  @Query(() => SegmentPage, { description: 'All segments, the oldest first. Codes: BAD_USER_INPUT.' })
  async segments(
    @Args(() => PageArguments) page: PageArguments,
    @Ctx() context: Context,
  ): Promise<Page<Segment>> {
    await authorise(context, 'Query.segments');
    return listSegments(context.services, page);
  }

  @Query(() => Segment, { description: 'One segment. Codes: NOT_FOUND.' })
  async segment(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Ctx() context: Context,
  ): Promise<Segment> {
    await authorise(context, 'Query.segment');
    return getSegment(context.services, id);
  }

  @Query(() => SegmentPreviewType, {
    description:
      'How many profiles a rule finds now, and the first 100 of them. Stores nothing. Contributors and administrators. Codes: FORBIDDEN, BAD_USER_INPUT for a rule ' +
      'that cannot be used; `field` is the place in it.',
  })
  async previewSegment(
    @Arg('rule', () => GraphQLJSONObject, { description: RULE }) rule: Record<string, unknown>,
    @Ctx() context: Context,
  ): Promise<SegmentPreviewType> {
    await authorise(context, 'Query.previewSegment');
    return previewOf(await previewSegment(context.services, rule));
  }

  @Mutation(() => Segment, {
    description:
      'Makes a segment: a static one without members, which an import of profiles gives it; or a dynamic one with the ' +
      'members that its rule finds. Contributors and administrators. Codes: FORBIDDEN, BAD_USER_INPUT, CONFLICT when the ' +
      'name is taken.',
  })
  async createSegment(
    @Arg('input', () => CreateSegmentInput, { description: 'The new segment.' }) input: CreateSegmentInput,
    @Ctx() context: Context,
  ): Promise<Segment> {
    const actor = await authorise(context, 'Mutation.createSegment');
    return makeSegment(context.services, actor, input);
  }

  @Mutation(() => Segment, {
    description:
      'Changes a segment; with its rule its members change, both at once. Contributors and administrators. Codes: ' +
      'FORBIDDEN, NOT_FOUND, BAD_USER_INPUT, CONFLICT when the name is taken.',
  })
  async updateSegment(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Arg('input', () => UpdateSegmentInput, { description: 'What to change.' }) input: UpdateSegmentInput,
    @Ctx() context: Context,
  ): Promise<Segment> {
    const actor = await authorise(context, 'Mutation.updateSegment');
    return changeSegment(context.services, actor, id, input);
  }

  @Mutation(() => Segment, {
    description:
      'Evaluates a dynamic segment again. Contributors and administrators. Codes: FORBIDDEN, NOT_FOUND, CONFLICT when it ' +
      'is static or inactive, BAD_USER_INPUT when its rule cannot be used any more.',
  })
  async refreshSegment(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Ctx() context: Context,
  ): Promise<Segment> {
    const actor = await authorise(context, 'Mutation.refreshSegment');
    return refreshSegment(context.services, actor, id);
  }

  @Mutation(() => Segment, {
    description:
      'Lets exports use the segment, or pass over it. A run under way goes on. A dynamic segment that becomes active is ' +
      'evaluated. Contributors and administrators. Codes: FORBIDDEN, NOT_FOUND, BAD_USER_INPUT when its rule cannot be ' +
      'used any more.',
  })
  async setSegmentState(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Arg('state', () => SegmentState, { description: 'The state that it is to have.' }) state: SegmentState,
    @Ctx() context: Context,
  ): Promise<Segment> {
    const actor = await authorise(context, 'Mutation.setSegmentState');
    return switchSegment(context.services, actor, id, state);
  }

  @Mutation(() => Boolean, {
    description:
      'Removes a segment; its profiles stay. Contributors and administrators. Codes: FORBIDDEN, NOT_FOUND, CONFLICT while an export uses it.',
  })
  async removeSegment(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    const actor = await authorise(context, 'Mutation.removeSegment');
    return removeSegment(context.services, actor, id);
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
    return listSizes(context.services, id, page);
  }
}
