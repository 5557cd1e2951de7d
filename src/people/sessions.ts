import type { EntityManager } from 'typeorm';
import { systemClock, type Clock } from '../clock.js';
import { ApiToken } from '../entities/api-token.js';
import { User, type Role } from '../entities/user.js';
import { isDatabaseAway } from '../database-errors.js';
import { describeError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Wire } from '../wire.js';
import type { Principal } from './principal.js';

/**
 * Knows the sockets and uploads that are open, and ends those whose principal may not stay: a request proves who asks when it
 * begins, but a socket may then be open for days, and an upload takes an hour.
 *
 * Where there are other processes, they tell over the wire whom they changed; what the wire loses is found by looking at
 * everybody who has one open, every `LOOK_MS`.
 */
export interface Sessions {
  /**
   * Watches over a socket or an upload until the function that is answered is called.
   * @param end closes it; the reason is for the person at the other end.
   * @param mayStay whether it may go on with the role that the user has now. Default: with the role that they came with alone.
   */
  readonly open: (
    principal: Principal,
    end: (reason: string) => void,
    mayStay?: (role: Role) => boolean,
  ) => () => void;
  /** Call it after every commit that changed a user, or a token of theirs. */
  readonly changed: (userId: string) => void;
}

interface Session {
  readonly principal: Principal;
  readonly end: (reason: string) => void;
  readonly mayStay: (role: Role) => boolean;
}

/** Timers cannot wait for much longer than three weeks, and clocks are set: it looks again at least every hour. */
const MAX_SLEEP_MS = 60 * 60_000;
const LOOK_MS = 1_500;
/** The topic on the wire; about a user, by their id. */
const USER = 'user';

export function createSessions(services: {
  readonly reader: EntityManager;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly wire: Wire;
}): Sessions {
  const { reader, clock, logger, wire } = services;
  const sessions = new Set<Session>();

  const lookAt = async (userId: string) => {
    const theirs = [...sessions].filter(({ principal }) => principal.user.id === userId);
    if (theirs.length === 0) return;
    try {
      for (const session of theirs) {
        const reason = await reasonToEnd(reader, session);
        if (reason !== undefined) session.end(reason);
      }
    } catch (error: unknown) {
      // Nobody can change anything either while the database is away; it is looked at again when it is back.
      if (wire.isShared && isDatabaseAway(error)) return;
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

  /** Aborts with the last socket; by the machine's time, as the wire that this stands in for. */
  let looking: AbortController | undefined;
  const lookAround = async ({ signal }: AbortController) => {
    for (;;) {
      await systemClock.sleep(LOOK_MS, signal).catch(() => undefined);
      if (signal.aborted) return;
      const userIds = new Set([...sessions].map(({ principal }) => principal.user.id));
      for (const userId of userIds) await lookAt(userId);
    }
  };

  wire.hear(USER, (userId) => void lookAt(userId));

  return {
    open: (principal, end, mayStay = (role) => role === principal.user.role) => {
      const session = { principal, end, mayStay };
      const closed = new AbortController();
      sessions.add(session);
      // Something may have changed between the look at the token and this moment.
      void lookAt(principal.user.id);
      if (wire.isShared && looking === undefined) {
        looking = new AbortController();
        void lookAround(looking);
      }
      if (principal.endsAt !== null) void endInTime(session, closed.signal);
      return () => {
        sessions.delete(session);
        if (sessions.size === 0) {
          looking?.abort();
          looking = undefined;
        }
        closed.abort(new Error('The socket is closed.'));
      };
    },
    changed: (userId) => {
      void lookAt(userId);
      wire.tell(USER, userId);
    },
  };
}

const EXPIRED = 'The token has expired.';

async function reasonToEnd(
  reader: EntityManager,
  { principal, mayStay }: Session,
): Promise<string | undefined> {
  const user = await reader.findOneBy(User, { id: principal.user.id });
  if (user === null || user.disabled) return 'The user is disabled.';
  if (!mayStay(user.role)) return 'The role of the user has changed; connect again.';
  if (principal.apiTokenId === null) return undefined;
  const token = await reader.findOneBy(ApiToken, { id: principal.apiTokenId });
  return token?.revokedAt === null ? undefined : 'The token was revoked.';
}
