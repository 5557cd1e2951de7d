import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql';
import { ExportPlan } from '../exports/export-plan.js';
import { planExport } from '../exports/plan-export.js';
import { authorise } from '../schema/authorise.js';
import type { Context } from '../schema/context.js';

@Resolver(() => ExportPlan)
export class ExportPlanResolver {
  @Query(() => ExportPlan, {
    description:
      'What a run of the export would do if it began now; nothing is sent to find that out. With `leavers: KEEP` a person ' +
      'whose address has changed is on the list under both addresses (`keptFormerAddresses`). Takes some seconds for a ' +
      'million profiles. Whoever may use the connection may. Codes: FORBIDDEN, NOT_FOUND, CONFLICT when the export is detached.',
  })
  async planExport(
    @Arg('exportId', () => ID, { description: 'The id of the export.' }) exportId: string,
    @Ctx() context: Context,
  ): Promise<ExportPlan> {
    await authorise(context, 'Query.planExport', { export: exportId });
    return planExport(context.services, exportId);
  }
}
