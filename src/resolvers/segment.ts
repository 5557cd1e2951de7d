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
import { authorise, type Context } from '../schema/context.js';
import { PageArguments } from '../schema/page-arguments.js';
import { SegmentPage } from '../schema/pages.js';
import { CreateSegmentInput, UpdateSegmentInput } from '../schema/segment-inputs.js';

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

  @Mutation(() => Segment, {
    description:
      'Makes a segment without members; an import of profiles gives it some. ' +
      'Codes: BAD_USER_INPUT, CONFLICT when the name is taken.',
  })
  createSegment(
    @Arg('input', () => CreateSegmentInput, { description: 'The new segment.' }) input: CreateSegmentInput,
    @Ctx() context: Context,
  ): Promise<Segment> {
    authorise(context);
    return createSegment(context.services, input);
  }

  @Mutation(() => Segment, {
    description: 'Changes a segment. Codes: NOT_FOUND, BAD_USER_INPUT, CONFLICT when the name is taken.',
  })
  updateSegment(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Arg('input', () => UpdateSegmentInput, { description: 'What to change.' }) input: UpdateSegmentInput,
    @Ctx() context: Context,
  ): Promise<Segment> {
    authorise(context);
    return updateSegment(context.services, id, input);
  }

  @Mutation(() => Segment, {
    description: 'Lets exports use the segment, or pass over it. A run under way goes on. Codes: NOT_FOUND.',
  })
  setSegmentState(
    @Arg('id', () => ID, { description: 'The id of the segment.' }) id: string,
    @Arg('state', () => SegmentState, { description: 'The state that it is to have.' }) state: SegmentState,
    @Ctx() context: Context,
  ): Promise<Segment> {
    authorise(context);
    return setSegmentState(context.services, id, state);
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
}
