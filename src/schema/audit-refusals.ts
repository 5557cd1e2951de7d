import type { GraphQLSchema } from 'graphql';
import { ArgumentValidationError } from 'type-graphql';
import { NO_SUBJECT, record } from '../audit/record.js';
import { describeError, SluiceError } from '../errors.js';
import { looksLikeId } from '../ids.js';
import type { Context } from './context.js';
import { wrapFields } from './wrap-fields.js';
import { NOTES_LANE } from '../lanes.js';

/**
 * Writes down every mutation that is refused or fails. One that succeeds writes itself down, in the transaction that does
 * it; of a refused one that transaction leaves nothing.
 */
export function auditRefusals(schema: GraphQLSchema): void {
  wrapFields(schema, (name, { type }, resolve) => {
    const [root, mutation = ''] = name.split('.');
    if (root !== 'Mutation') return undefined;
    const subjectType = SUBJECTS[mutation] ?? nameOf(String(type));
    return async (source, args: Record<string, unknown>, context, info): Promise<unknown> => {
      try {
        return await resolve(source, args, context, info);
      } catch (error: unknown) {
        await writeDown(context, { action: mutation, subjectType, subjectId: subjectOf(args) }, error);
        throw error;
      }
    };
  });
}

/** What a mutation acts on, where that is not what it answers. */
const SUBJECTS: Readonly<Record<string, string>> = {
  createTrigger: 'Trigger',
  issueApiToken: 'ApiToken',
  removeConnection: 'Connection',
  removeExport: 'Export',
  removeProfiles: 'Profile',
  removeSegment: 'Segment',
  removeTrigger: 'Trigger',
  rotateTriggerSecret: 'Trigger',
  runRefresh: 'Refresh',
};

const IDS = ['id', 'connectionId', 'exportId', 'userId'];

async function writeDown(
  { services, actor }: Context,
  about: { action: string; subjectType: string; subjectId: string },
  error: unknown,
): Promise<void> {
  const { code, field } = codeOf(error);
  const entry = {
    ...about,
    at: new Date(services.clock.now()),
    actor,
    result: code,
    ...(field !== undefined && { detail: { field } }),
  };
  try {
    await services.database.transact(({ manager }) => record(manager, entry), NOTES_LANE);
  } catch (failure: unknown) {
    // The caller is told what was wrong with the request, not with this.
    services.logger.error(
      { why: describeError(failure), action: about.action },
      'a refusal was not written down',
    );
  }
}

/** Never the message: it may quote what was refused. */
function codeOf(error: unknown): { code: string; field?: string | undefined } {
  if (error instanceof SluiceError) return { code: error.code, field: error.field };
  if (error instanceof ArgumentValidationError) return { code: 'BAD_USER_INPUT' };
  return { code: 'INTERNAL_SERVER_ERROR' };
}

function subjectOf(args: Record<string, unknown>): string {
  const ids = IDS.flatMap((name) => (typeof args[name] === 'string' ? [args[name]] : []));
  return ids.find(looksLikeId) ?? NO_SUBJECT;
}

/** Of `[Export!]!`: `Export`. */
function nameOf(type: string): string {
  return type.replace(/[[\]!]/g, '');
}
