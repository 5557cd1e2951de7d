import { Arg, Args, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import { Connection } from '../entities/connection.js';
import { ExportRun } from '../entities/export-run.js';
import { ExportSchedule } from '../entities/export-schedule.js';
import { Export } from '../entities/export.js';
import { Segment } from '../entities/segment.js';
import { User } from '../entities/user.js';
import { attachExport, detachExports } from '../exports/attachments.js';
import { removeExport } from '../exports/export-removal.js';
import { createExport, duplicateExport, updateExport } from '../exports/exports.js';
import { getExport, listExports } from '../exports/find-exports.js';
import { listRuns } from '../exports/runs.js';
import type { Page } from '../page.js';
import { AccessLevel } from '../schema/access-level.js';
import { authorise, mayUse, visibleSharings } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';
import { CreateExportInput, UpdateExportInput } from '../schema/export-inputs.js';
import { PageArguments } from '../schema/page-arguments.js';
import { ExportPage, ExportRunPage } from '../schema/pages.js';
import { ExportPageArguments } from '../schema/run-arguments.js';

const ID_OF_EXPORT = { description: 'The id of the export.' };

@Resolver(() => Export)
export class ExportResolver {
  @Query(() => ExportPage, { description: 'Exports, the oldest first. Codes: BAD_USER_INPUT.' })
  async exports(
    @Args(() => ExportPageArguments) { search, ...page }: ExportPageArguments,
    @Ctx() context: Context,
  ): Promise<Page<Export>> {
    await authorise(context, 'Query.exports');
    const namesOf = visibleSharings(context.user);
    return listExports(context.services, page, { text: search ?? '', namesOf });
  }

  @Query(() => Export, { description: 'One export. Codes: NOT_FOUND.' })
  async export(@Arg('id', () => ID, ID_OF_EXPORT) id: string, @Ctx() context: Context): Promise<Export> {
    await authorise(context, 'Query.export');
    return getExport(context.services, id);
  }

  @Mutation(() => Export, {
    description:
      'Makes an export. Does not run it. Whoever may use the connection may. Codes: FORBIDDEN, NOT_FOUND for an unknown connection; ' +
      'BAD_USER_INPUT for an unknown segment, list or attribute; CONSENT_REQUIRED; CONNECTION_FAILED.',
  })
  async createExport(
    @Arg('input', () => CreateExportInput, { description: 'The new export.' }) input: CreateExportInput,
    @Ctx() context: Context,
  ): Promise<Export> {
    const actor = await authorise(context, 'Mutation.createExport', { connection: input.connectionId });
    return createExport(context.services, actor, input);
  }

  @Mutation(() => Export, {
    description:
      'Changes an export. Does not run it; a run under way goes on as it began. Whoever may use the connection may. ' +
      'Codes: as createExport, and NOT_FOUND for an unknown export.',
  })
  async updateExport(
    @Arg('id', () => ID, ID_OF_EXPORT) id: string,
    @Arg('input', () => UpdateExportInput, { description: 'What to change.' }) input: UpdateExportInput,
    @Ctx() context: Context,
  ): Promise<Export> {
    const actor = await authorise(context, 'Mutation.updateExport', { export: id });
    return updateExport(context.services, actor, id, input);
  }

  @Mutation(() => Export, {
    description:
      'Makes another export with the same configuration. What was delivered is not copied: everybody is new to it. ' +
      'Whoever may use the connection may. Codes: FORBIDDEN, NOT_FOUND, BAD_USER_INPUT.',
  })
  async duplicateExport(
    @Arg('id', () => ID, ID_OF_EXPORT) id: string,
    @Arg('name', () => String, { description: 'The name of the new export, 1 to 200 characters.' })
    name: string,
    @Ctx() context: Context,
  ): Promise<Export> {
    const actor = await authorise(context, 'Mutation.duplicateExport', { export: id });
    return duplicateExport(context.services, actor, id, name);
  }

  @Mutation(() => Boolean, {
    description:
      'Removes an export with its runs; contacts at the destination stay. Whoever may use the connection may. ' +
      'Codes: FORBIDDEN, NOT_FOUND, CONFLICT while a run is active.',
  })
  async removeExport(
    @Arg('id', () => ID, ID_OF_EXPORT) id: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    const actor = await authorise(context, 'Mutation.removeExport', { export: id });
    return removeExport(context.services, actor, id);
  }

  @Mutation(() => [Export], {
    description:
      'Takes exports off their connection: they keep their configuration and do not run; runs under way end. ' +
      'All or none. Administrators only. Codes: FORBIDDEN, NOT_FOUND.',
  })
  async detachExports(
    @Arg('ids', () => [ID], { description: 'The ids of the exports.' }) ids: string[],
    @Ctx() context: Context,
  ): Promise<Export[]> {
    const actor = await authorise(context, 'Mutation.detachExports');
    return detachExports(context.services, actor, ids);
  }

  @Mutation(() => Export, {
    description:
      'Puts an export on a connection. Whoever may use the connection may. Codes: FORBIDDEN, NOT_FOUND, CONSENT_REQUIRED, ' +
      'CONNECTION_FAILED, BAD_USER_INPUT when the connection belongs to another account and no list of it is named.',
  })
  async attachExport(
    @Arg('id', () => ID, ID_OF_EXPORT) id: string,
    @Arg('connectionId', () => ID, { description: 'The id of the connection.' }) connectionId: string,
    @Arg('listId', () => ID, {
      nullable: true,
      description: 'A list of the account. Left out: the list that it has, if the account is the same.',
    })
    listId: string | null | undefined,
    @Ctx() context: Context,
  ): Promise<Export> {
    const actor = await authorise(context, 'Mutation.attachExport', {
      exportOrDetached: id,
      connection: connectionId,
    });
    return attachExport(context.services, actor, id, connectionId, listId);
  }

  @FieldResolver(() => Connection, {
    nullable: true,
    description:
      'What it sends through. Null without an error: detached, it keeps its configuration and does not run. Callers who may not ' +
      'use it read its id, displayName, kind and state. Errors: FORBIDDEN at the path of any other field.',
  })
  connection(@Root() { connectionId }: Export, @Ctx() context: Context): Promise<Connection | null> {
    return context.loaders.connection(connectionId);
  }

  @FieldResolver(() => [Segment], { description: 'The segments whose members it sends, each person once.' })
  async segments(@Root() { id }: Export, @Ctx() context: Context): Promise<Segment[]> {
    return (await context.loaders.segments(id)) ?? [];
  }

  @FieldResolver(() => ExportSchedule, { description: 'When it runs by itself.' })
  schedule(@Root() { id }: Export, @Ctx() context: Context): Promise<ExportSchedule | null> {
    return context.loaders.schedule(id);
  }

  @FieldResolver(() => AccessLevel, {
    description:
      'What the caller may do with it. Contributors may EDIT it while its connection is shared with them; while it is ' +
      'detached they may put it on one that is.',
  })
  async yourAccess(
    @Root() { connectionId }: Export,
    @Ctx() { user, loaders }: Context,
  ): Promise<AccessLevel> {
    return mayUse(user, await loaders.connection(connectionId)) ? AccessLevel.EDIT : AccessLevel.VIEW;
  }

  @FieldResolver(() => ExportRun, {
    nullable: true,
    description: 'The run that was asked for last. Null: none yet.',
  })
  lastRun(@Root() { id }: Export, @Ctx() context: Context): Promise<ExportRun | null> {
    return context.loaders.lastRun(id);
  }

  @FieldResolver(() => ExportRunPage, { description: 'Its runs, the latest first. Codes: BAD_USER_INPUT.' })
  runs(
    @Root() { id }: Export,
    @Args(() => PageArguments) page: PageArguments,
    @Ctx() context: Context,
  ): Promise<Page<ExportRun>> {
    return listRuns(context.services, page, { exportId: id });
  }

  @FieldResolver(() => User, { nullable: true, description: 'Who changed it last.' })
  updatedBy(@Root() { updatedById }: Export, @Ctx() context: Context): Promise<User | null> {
    return context.loaders.user(updatedById);
  }
}
