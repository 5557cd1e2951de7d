import { createRation } from '../audit/ration.js';
import { NO_SUBJECT, record } from '../audit/record.js';
import { describeError } from '../errors.js';
import type { Logger } from '../logger.js';
import { authenticate } from './authenticate.js';
import type { Principal } from './principal.js';
import { RefusedSignInError } from './refused-sign-in.js';
import type { SignInServices } from './services.js';
import { NOTES_LANE } from '../lanes.js';

/**
 * Lets somebody in through a door, or writes down that they were refused.
 * @param authorization the `Authorization` header, or what stands for it; @param address where the request came from;
 *   @param logger the request's.
 * @throws {UnauthenticatedError} as `authenticate`.
 */
export type SignIn = (
  authorization: string | undefined,
  address: string | null,
  logger: Logger,
) => Promise<Principal>;

export function createSignIn(services: Omit<SignInServices, 'logger'>): SignIn {
  const ration = createRation(services.clock);

  const writeDown = async (refusal: RefusedSignInError, address: string | null, logger: Logger) => {
    const unwritten = ration.take();
    if (unwritten === undefined) return;
    const { userId = null } = refusal;
    const entry = {
      at: new Date(services.clock.now()),
      actor: { id: userId, address },
      action: 'signIn',
      subjectType: 'User',
      subjectId: userId ?? NO_SUBJECT,
      result: refusal.code,
      detail: { reason: refusal.message, ...(unwritten > 0 && { unwrittenBefore: unwritten }) },
    };
    try {
      await services.database.transact(({ manager }) => record(manager, entry), NOTES_LANE);
    } catch (error: unknown) {
      // A full disk must not turn a refusal into something else.
      logger.error({ why: describeError(error) }, 'a refused sign-in was not written down');
    }
  };

  return async (authorization, address, logger) => {
    try {
      return await authenticate({ ...services, logger }, authorization, address);
    } catch (error: unknown) {
      if (error instanceof RefusedSignInError) await writeDown(error, address, logger);
      throw error;
    }
  };
}
