import { GraphQLDateTime } from 'graphql-scalars';
import { Arg, Args, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import {
  becomeExportUser,
  createConnection,
  getConnection,
  listConnections,
  removeConnection,
  shareConnection,
  updateConnection,
} from '../connections/connections.js';
import { connect } from '../connections/connect.js';
import { consentDueAt } from '../connections/consent-grace.js';
import { Connection, ConnectionSharing } from '../entities/connection.js';
import { Consent } from '../entities/consent.js';
import { Role, User } from '../entities/user.js';
import type { Page } from '../page.js';
import { AccessLevel } from '../schema/access-level.js';
import { CreateConnectionInput, UpdateConnectionInput } from '../schema/connection-inputs.js';
import { authorise, visibleSharings } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';
import { PageArguments } from '../schema/page-arguments.js';
import { ConnectionPage } from '../schema/pages.js';

const ID_OF_CONNECTION = { description: 'The id of the connection.' };

@Resolver(() => Connection)
export class ConnectionResolver {
  @Query(() => ConnectionPage, {
    description:
      'The connections that the caller may use, the oldest first: administrators all, contributors those that are ' +
      'shared with them, viewers none. Codes: BAD_USER_INPUT.',
  })
  async connections(
    @Args(() => PageArguments) page: PageArguments,
    @Ctx() context: Context,
  ): Promise<Page<Connection>> {
    await authorise(context, 'Query.connections');
    return listConnections(context.services, page, visibleSharings(context.user));
  }

  @Query(() => Connection, { description: 'One connection that the caller may use. Codes: NOT_FOUND.' })
  async connection(
    @Arg('id', () => ID, ID_OF_CONNECTION) id: string,
    @Ctx() context: Context,
  ): Promise<Connection> {
    await authorise(context, 'Query.connection', { connection: id });
    return getConnection(context.services, id);
  }

  @Mutation(() => Connection, {
    description:
      'Stores the credentials of an account as a draft. Next: giveConsent, connect, becomeExportUser. ' +
      'Administrators only. Codes: FORBIDDEN, BAD_USER_INPUT.',
  })
  async createConnection(
    @Arg('input', () => CreateConnectionInput, { description: 'The new connection.' })
    input: CreateConnectionInput,
    @Ctx() context: Context,
  ): Promise<Connection> {
    const actor = await authorise(context, 'Mutation.createConnection');
    return createConnection(context.services, actor, input);
  }

  @Mutation(() => Connection, {
    description:
      'Changes a connection. A new key makes it a draft again; so does a new host, which also forgets the key and the ' +
      'consent. Runs under way then end. Administrators only. Codes: FORBIDDEN, NOT_FOUND, BAD_USER_INPUT.',
  })
  async updateConnection(
    @Arg('id', () => ID, ID_OF_CONNECTION) id: string,
    @Arg('input', () => UpdateConnectionInput, { description: 'What to change.' })
    input: UpdateConnectionInput,
    @Ctx() context: Context,
  ): Promise<Connection> {
    const actor = await authorise(context, 'Mutation.updateConnection');
    return updateConnection(context.services, actor, id, input);
  }

  @Mutation(() => Connection, {
    description:
      'Decides who may use the connection for exports. Administrators only. Codes: FORBIDDEN, NOT_FOUND.',
  })
  async shareConnection(
    @Arg('id', () => ID, ID_OF_CONNECTION) id: string,
    @Arg('sharing', () => ConnectionSharing, { description: 'Who may use it.' }) sharing: ConnectionSharing,
    @Ctx() context: Context,
  ): Promise<Connection> {
    const actor = await authorise(context, 'Mutation.shareConnection');
    return shareConnection(context.services, actor, id, sharing);
  }

  @Mutation(() => Connection, {
    description:
      'Checks host, key and permission at the destination; the connection is CONNECTED when all is well, and FAILING ' +
      'with a `problem` when it is not. Administrators only. Codes: FORBIDDEN, NOT_FOUND, CONSENT_REQUIRED, CONNECTION_FAILED, ' +
      'CONFLICT when exports use it and the credentials now belong to another account, or when it changed meanwhile; ' +
      'RATE_LIMITED when too many questions wait for the account.',
  })
  async connect(
    @Arg('connectionId', () => ID, ID_OF_CONNECTION) connectionId: string,
    @Ctx() context: Context,
  ): Promise<Connection> {
    const actor = await authorise(context, 'Mutation.connect');
    return connect(context.services, actor, connectionId);
  }

  @Mutation(() => Connection, {
    description:
      'Makes the caller the user in whose name exports run through the connection. Administrators only. ' +
      'Codes: FORBIDDEN, NOT_FOUND.',
  })
  async becomeExportUser(
    @Arg('connectionId', () => ID, ID_OF_CONNECTION) connectionId: string,
    @Ctx() context: Context,
  ): Promise<Connection> {
    const actor = await authorise(context, 'Mutation.becomeExportUser');
    return becomeExportUser(context.services, actor, connectionId);
  }

  @Mutation(() => Boolean, {
    description:
      'Removes a connection and its key; the record of who agreed is kept. Administrators only. ' +
      'Codes: FORBIDDEN, NOT_FOUND, CONNECTION_IN_USE while an export uses it.',
  })
  async removeConnection(
    @Arg('id', () => ID, ID_OF_CONNECTION) id: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    const actor = await authorise(context, 'Mutation.removeConnection');
    return removeConnection(context.services, actor, id);
  }

  @FieldResolver(() => AccessLevel, {
    description:
      'What the caller may do with it. Whoever is no administrator may use it at most, not change it.',
  })
  yourAccess(@Ctx() { user }: Context): AccessLevel {
    return user.role === Role.ADMINISTRATOR ? AccessLevel.EDIT : AccessLevel.VIEW;
  }

  @FieldResolver(() => Consent, {
    nullable: true,
    description:
      'The agreement to the privacy statement. Null until an administrator has agreed. Administrators only.',
  })
  consent(@Root() { id }: Connection, @Ctx() context: Context): Promise<Consent | null> {
    return context.loaders.consent(id);
  }

  @FieldResolver(() => GraphQLDateTime, {
    nullable: true,
    description:
      'The statement has a newer version: until then an administrator must agree to it (giveConsent), or the consent ' +
      'ends and nothing is sent any more. Null: nothing to do. Administrators only.',
  })
  async consentDueAt(
    @Root() { id }: Connection,
    @Ctx() { loaders, services }: Context,
  ): Promise<Date | null> {
    return consentDueAt(services.consentRules, await loaders.consent(id));
  }

  @FieldResolver(() => User, {
    nullable: true,
    description:
      'The administrator in whose name exports run. Null: they do not run until one volunteers. Administrators only.',
  })
  exportUser(@Root() { exportUserId }: Connection, @Ctx() context: Context): Promise<User | null> {
    return context.loaders.user(exportUserId);
  }

  @FieldResolver(() => User, { nullable: true, description: 'Who changed it last. Administrators only.' })
  updatedBy(@Root() { updatedById }: Connection, @Ctx() context: Context): Promise<User | null> {
    return context.loaders.user(updatedById);
  }
}
