import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql';
import { destinationLists } from '../connections/connect.js';
import type { ContactList } from '../destinations/destination.js';
import { DestinationList } from '../entities/export.js';
import { authorise } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';

@Resolver(() => DestinationList)
export class DestinationListResolver {
  @Query(() => [DestinationList], {
    description:
      'The lists of the account, as the destination answered within the last 5 seconds. Requires access to the connection. ' +
      'Errors: NOT_FOUND, CONSENT_REQUIRED, CONNECTION_FAILED; RATE_LIMITED when too many questions wait for the account.',
  })
  async destinationLists(
    @Arg('connectionId', () => ID, { description: 'The id of the connection.' }) connectionId: string,
    @Ctx() context: Context,
  ): Promise<ContactList[]> {
    await authorise(context, 'Query.destinationLists', { connection: connectionId });
    return destinationLists(context.services, connectionId);
  }
}
