import { Arg, Args, Ctx, ID, Mutation, Query, Resolver } from 'type-graphql';
import { Segment, SegmentState } from '../entities/segment.js';
import type { Page } from '../page.js';
import {
  createSegment,
  getSegment,
  listSegments,
  removeSegment,
  setSegmentState,
  updateSegment,
} from '../profiles/segments.js';
import { authorise } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';
import { PageArguments } from '../schema/page-arguments.js';
import { SegmentPage } from '../schema/pages.js';
import { CreateSegmentInput, UpdateSegmentInput } from '../schema/segment-inputs.js';

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

  @Mutation(() => Segment, {
    description:
      'Makes a segment without members; an import of profiles gives it some. ' +
      'Contributors and administrators. Codes: FORBIDDEN, BAD_USER_INPUT, CONFLICT when the name is taken.',
  })
  async createSegment(
    @Arg('input', () => CreateSegmentInput, { description: 'The new segment.' }) input: CreateSegmentInput,
    @Ctx() context: Context,
  ): Promise<Segment> {
    const actor = await authorise(context, 'Mutation.createSegment');
    return createSegment(context.services, actor, input);
  }

  @Mutation(() => Segment, {
    description:
      'Changes a segment. Contributors and administrators. Codes: FORBIDDEN, NOT_FOUND, BAD_USER_INPUT, CONFLICT when the name is taken.',
  })
  async updateSegment(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Arg('input', () => UpdateSegmentInput, { description: 'What to change.' }) input: UpdateSegmentInput,
    @Ctx() context: Context,
  ): Promise<Segment> {
    const actor = await authorise(context, 'Mutation.updateSegment');
    return updateSegment(context.services, actor, id, input);
  }

  @Mutation(() => Segment, {
    description:
      'Lets exports use the segment, or pass over it. A run under way goes on. Contributors and administrators. Codes: FORBIDDEN, NOT_FOUND.',
  })
  async setSegmentState(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Arg('state', () => SegmentState, { description: 'The state that it is to have.' }) state: SegmentState,
    @Ctx() context: Context,
  ): Promise<Segment> {
    const actor = await authorise(context, 'Mutation.setSegmentState');
    return setSegmentState(context.services, actor, id, state);
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
}
