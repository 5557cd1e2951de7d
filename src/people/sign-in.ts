import { NO_SUBJECT, record } from '../audit/record.js';
import { describeError } from '../errors.js';
import type { Logger } from '../logger.js';
import { authenticate } from './authenticate.js';
import type { Principal } from './principal.js';
import { RefusedSignInError } from './refused-sign-in.js';
import type { SignInServices } from './services.js';

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

const WINDOW_MS = 60_000;
/** Refusals that are written down one by one in that time; of those beyond only the number is. */
const MAX_WRITTEN = 60;

/** Who guesses tokens must not be able to fill the disk with what is written about it. */
interface Window {
  readonly startMs: number;
  readonly refusals: number;
}

export function createSignIn(services: Omit<SignInServices, 'logger'>): SignIn {
  let window: Window = { startMs: 0, refusals: 0 };

  /** @returns how many refusals went unwritten before this one; undefined: this one does too. */
  const takePlace = (nowMs: number): number | undefined => {
    const isOver = nowMs - window.startMs >= WINDOW_MS;
    const unwritten = isOver ? Math.max(0, window.refusals - MAX_WRITTEN) : 0;
    window = isOver ? { startMs: nowMs, refusals: 1 } : { ...window, refusals: window.refusals + 1 };
    return window.refusals > MAX_WRITTEN ? undefined : unwritten;
  };

  const writeDown = async (refusal: RefusedSignInError, address: string | null, logger: Logger) => {
    const nowMs = services.clock.now();
    const unwritten = takePlace(nowMs);
    if (unwritten === undefined) return;
    const { userId = null } = refusal;
    const entry = {
      at: new Date(nowMs),
      actor: { id: userId, address },
      action: 'signIn',
      subjectType: 'User',
      subjectId: userId ?? NO_SUBJECT,
      result: refusal.code,
      detail: { reason: refusal.message, ...(unwritten > 0 && { unwrittenBefore: unwritten }) },
    };
    try {
      await services.database.transact(({ manager }) => record(manager, entry));
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
