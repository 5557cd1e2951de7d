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
import { Connection, ConnectionSharing } from '../entities/connection.js';
import { Consent } from '../entities/consent.js';
import { User } from '../entities/user.js';
import type { Page } from '../page.js';
import { AccessLevel } from '../schema/access-level.js';
import { CreateConnectionInput, UpdateConnectionInput } from '../schema/connection-inputs.js';
import { authorise, type Context } from '../schema/context.js';
import { PageArguments } from '../schema/page-arguments.js';
import { ConnectionPage } from '../schema/pages.js';

const ID_OF_CONNECTION = { description: 'The id of the connection.' };

@Resolver(() => Connection)
export class ConnectionResolver {
  @Query(() => ConnectionPage, { description: 'All connections, the oldest first. Codes: BAD_USER_INPUT.' })
  connections(
    @Args(() => PageArguments) page: PageArguments,
    @Ctx() context: Context,
  ): Promise<Page<Connection>> {
    authorise(context);
    return listConnections(context.services, page);
  }

  @Query(() => Connection, { description: 'One connection. Codes: NOT_FOUND.' })
  connection(
    @Arg('id', () => ID, ID_OF_CONNECTION) id: string,
    @Ctx() context: Context,
  ): Promise<Connection> {
    authorise(context);
    return getConnection(context.services, id);
  }

  @Mutation(() => Connection, {
    description:
      'Stores the credentials of an account as a draft. Next: giveConsent, connect, becomeExportUser. ' +
      'Administrators only. Codes: BAD_USER_INPUT.',
  })
  createConnection(
    @Arg('input', () => CreateConnectionInput, { description: 'The new connection.' })
    input: CreateConnectionInput,
    @Ctx() context: Context,
  ): Promise<Connection> {
    const actor = authorise(context);
    return createConnection(context.services, actor, input);
  }

  @Mutation(() => Connection, {
    description:
      'Changes a connection. A new key makes it a draft again; so does a new host, which also forgets the key and the ' +
      'consent. Runs under way then end. Administrators only. Codes: NOT_FOUND, BAD_USER_INPUT.',
  })
  updateConnection(
    @Arg('id', () => ID, ID_OF_CONNECTION) id: string,
    @Arg('input', () => UpdateConnectionInput, { description: 'What to change.' })
    input: UpdateConnectionInput,
    @Ctx() context: Context,
  ): Promise<Connection> {
    const actor = authorise(context);
    return updateConnection(context.services, actor, id, input);
  }

  @Mutation(() => Connection, {
    description: 'Decides who may use the connection for exports. Administrators only. Codes: NOT_FOUND.',
  })
  shareConnection(
    @Arg('id', () => ID, ID_OF_CONNECTION) id: string,
    @Arg('sharing', () => ConnectionSharing, { description: 'Who may use it.' }) sharing: ConnectionSharing,
    @Ctx() context: Context,
  ): Promise<Connection> {
    const actor = authorise(context);
    return shareConnection(context.services, actor, id, sharing);
  }

  @Mutation(() => Connection, {
    description:
      'Checks host, key and permission at the destination; the connection is CONNECTED when all is well, and FAILING ' +
      'with a `problem` when it is not. Administrators only. Codes: NOT_FOUND, CONSENT_REQUIRED, CONNECTION_FAILED, ' +
      'CONFLICT when exports use it and the credentials now belong to another account, or when it changed meanwhile.',
  })
  connect(
    @Arg('connectionId', () => ID, ID_OF_CONNECTION) connectionId: string,
    @Ctx() context: Context,
  ): Promise<Connection> {
    authorise(context);
    return connect(context.services, connectionId);
  }

  @Mutation(() => Connection, {
    description:
      'Makes the caller the user in whose name exports run through the connection. Administrators only. ' +
      'Codes: NOT_FOUND.',
  })
  becomeExportUser(
    @Arg('connectionId', () => ID, ID_OF_CONNECTION) connectionId: string,
    @Ctx() context: Context,
  ): Promise<Connection> {
    const actor = authorise(context);
    return becomeExportUser(context.services, actor, connectionId);
  }

  @Mutation(() => Boolean, {
    description:
      'Removes a connection and its key; the record of who agreed is kept. Administrators only. ' +
      'Codes: NOT_FOUND, CONNECTION_IN_USE while an export uses it.',
  })
  removeConnection(
    @Arg('id', () => ID, ID_OF_CONNECTION) id: string,
    @Ctx() context: Context,
  ): Promise<boolean> {
    const actor = authorise(context);
    return removeConnection(context.services, actor, id);
  }

  @FieldResolver(() => AccessLevel, { description: 'What the caller may do with it.' })
  yourAccess(@Ctx() context: Context): AccessLevel {
    authorise(context);
    return AccessLevel.EDIT;
  }

  @FieldResolver(() => Consent, {
    nullable: true,
    description: 'The agreement to the privacy statement. Null until an administrator has agreed.',
  })
  consent(@Root() { id }: Connection, @Ctx() context: Context): Promise<Consent | null> {
    authorise(context);
    return context.loaders.consent(id);
  }

  @FieldResolver(() => User, {
    nullable: true,
    description: 'The administrator in whose name exports run. Null: they do not run until one volunteers.',
  })
  exportUser(@Root() { exportUserId }: Connection, @Ctx() context: Context): Promise<User | null> {
    authorise(context);
    return context.loaders.user(exportUserId);
  }

  @FieldResolver(() => User, { nullable: true, description: 'Who changed it last.' })
  updatedBy(@Root() { updatedById }: Connection, @Ctx() context: Context): Promise<User | null> {
    authorise(context);
    return context.loaders.user(updatedById);
  }
}
