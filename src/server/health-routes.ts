import { timingSafeEqual } from 'node:crypto';
import { Router, type RequestHandler } from 'express';
import type { Registry } from 'prom-client';
import type { Clock } from '../clock.js';
import { NotFoundError, UnauthenticatedError } from '../errors.js';
import type { Logger } from '../logger.js';
import { hashToken } from '../security/tokens.js';
import { createReadiness, type Check } from './readiness.js';

/** What a process tells of itself to those who watch over it. */
export interface Health {
  /** Its figures. */
  readonly registry: Registry;
  /** What must hold for it to be ready. */
  readonly checks: readonly Check[];
}

export interface HealthParts extends Health {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Who shows it may read the figures; undefined: nobody may. */
  readonly metricsToken: string | undefined;
}

/**
 * `GET /healthz`, `/readyz` and `/metrics`, the same in every process, whatever its part. No request of them is counted:
 * whoever watches over the server must not take it for dead because of its other callers.
 */
export function healthRoutes({ registry, checks, metricsToken, ...services }: HealthParts): Router {
  const readiness = createReadiness(checks, services);
  const routes = Router();
  routes.get('/healthz', (_request, response) => {
    response.json({ status: 'ok' });
  });
  routes.get('/readyz', async (_request, response) => {
    const answer = await readiness();
    response.status(answer.status === 'ready' ? 200 : 503).json(answer);
  });
  routes.get('/metrics', requireMetricsToken(metricsToken), async (_request, response) => {
    response.setHeader('Content-Type', registry.contentType);
    response.end(await registry.metrics());
  });
  return routes;
}

/** A token of its own: whoever gathers figures needs no user, and none of the rights that one has. */
function requireMetricsToken(token: string | undefined): RequestHandler {
  if (token === undefined) {
    return () => {
      throw new NotFoundError('address', 'Set SLUICE_METRICS_TOKEN, and start the server again.');
    };
  }
  const expected = Buffer.from(hashToken(token));
  return (request, _response, next) => {
    const given = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    // Hashes are of one length, and how long it takes to compare them tells nothing of the token.
    if (!timingSafeEqual(Buffer.from(hashToken(given)), expected)) {
      throw new UnauthenticatedError(
        'The token is not the one for metrics.',
        'Send "Authorization: Bearer" with the value of SLUICE_METRICS_TOKEN.',
      );
    }
    next();
  };
}
