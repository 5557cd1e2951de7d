import type { EntityManager } from 'typeorm';
import type { Clock } from '../clock.js';
import { ApiToken } from '../entities/api-token.js';
import { User } from '../entities/user.js';
import { describeError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Principal } from './principal.js';

/**
 * Knows the sockets that are open, and ends those whose principal may not stay: an HTTP request proves who asks every
 * time, a socket only once and may then be open for days.
 */
export interface Sessions {
  /**
   * Watches over a socket until the function that is answered is called.
   * @param end closes it; the reason is for the person at the other end.
   */
  readonly open: (principal: Principal, end: (reason: string) => void) => () => void;
  /** Call it after every commit that changed a user, or a token of theirs. */
  readonly changed: (userId: string) => void;
}

interface Session {
  readonly principal: Principal;
  readonly end: (reason: string) => void;
}

/** Timers cannot wait for much longer than three weeks, and clocks are set: it looks again at least every hour. */
const MAX_SLEEP_MS = 60 * 60_000;

export function createSessions(services: {
  readonly reader: EntityManager;
  readonly clock: Clock;
  readonly logger: Logger;
}): Sessions {
  const { reader, clock, logger } = services;
  const sessions = new Set<Session>();

  const lookAt = async (userId: string) => {
    const theirs = [...sessions].filter(({ principal }) => principal.user.id === userId);
    if (theirs.length === 0) return;
    try {
      for (const { principal, end } of theirs) {
        const reason = await reasonToEnd(reader, principal);
        if (reason !== undefined) end(reason);
      }
    } catch (error: unknown) {
      logger.error(
        { userId, why: describeError(error) },
        'open sockets could not be looked at; they are closed',
      );
      for (const { end } of theirs) end('Connect again.');
    }
  };

  const endInTime = async ({ principal, end }: Session, signal: AbortSignal) => {
    const endsAt = principal.endsAt?.getTime() ?? Infinity;
    try {
      while (clock.now() < endsAt) await clock.sleep(Math.min(endsAt - clock.now(), MAX_SLEEP_MS), signal);
      end(EXPIRED);
    } catch (error: unknown) {
      if (!signal.aborted) throw error;
    }
  };

  return {
    open: (principal, end) => {
      const session = { principal, end };
      const closed = new AbortController();
      sessions.add(session);
      // Something may have changed between the look at the token and this moment.
      void lookAt(principal.user.id);
      if (principal.endsAt !== null) void endInTime(session, closed.signal);
      return () => {
        sessions.delete(session);
        closed.abort(new Error('The socket is closed.'));
      };
    },
    changed: (userId) => void lookAt(userId),
  };
}

const EXPIRED = 'The token has expired.';

async function reasonToEnd(reader: EntityManager, principal: Principal): Promise<string | undefined> {
  const user = await reader.findOneBy(User, { id: principal.user.id });
  if (user === null || user.disabled) return 'The user is disabled.';
  if (user.role !== principal.user.role) return 'The role of the user has changed; connect again.';
  if (principal.apiTokenId === null) return undefined;
  const token = await reader.findOneBy(ApiToken, { id: principal.apiTokenId });
  return token?.revokedAt === null ? undefined : 'The token was revoked.';
}
