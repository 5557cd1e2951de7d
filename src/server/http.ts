import type { ApolloServer } from '@apollo/server';
import { expressMiddleware } from '@as-integrations/express5';
import cors from 'cors';
import express, { type Express, type RequestHandler, type Response } from 'express';
import helmet from 'helmet';
import type { Config } from '../config.js';
import { NotFoundError, SluiceError } from '../errors.js';
import { authorise } from '../schema/authorise.js';
import { createContext, type Context } from '../schema/context.js';
import type { Services } from '../schema/services.js';
import type { Entrance } from './entrance.js';
import { answerFailure, badRequest, errorHandler } from './error-format.js';
import { healthRoutes, type Health } from './health-routes.js';
import { hookRoute } from './hook-route.js';
import { auditImport, importRoute } from './import-route.js';
import type { InFlight } from './in-flight.js';
import type { DoorLimits } from './limits.js';
import type { Requests } from './requests.js';
import { createSlowBodies } from './slow-bodies.js';

export interface HttpParts {
  readonly config: Pick<Config, 'corsOrigins' | 'production' | 'metricsToken'>;
  readonly services: Services & Health;
  readonly apollo: ApolloServer<Context>;
  readonly requests: Requests;
  readonly inFlight: InFlight;
  readonly entrance: Entrance;
  readonly limits: DoorLimits;
}

/** Everything that is answered over HTTP; every answer is JSON, the failures too. */
export function createHttpApp(parts: HttpParts): Express {
  const { config, services, apollo, requests, inFlight, entrance, limits } = parts;
  const app = express();
  // An answer is about this moment and for this caller: nobody asks for it again by its hash.
  app.disable('etag');
  app.use(requests.mark);
  const bodies = createSlowBodies(limits, requests);
  // Before anything answers: the body of a request that is answered already must end as well.
  app.use(bodies.watch);
  app.use(helmet({ contentSecurityPolicy: { useDefaults: false, directives: NOTHING_LOADS } }));
  app.use(
    cors({
      origin: [...config.corsOrigins],
      exposedHeaders: ['Retry-After', 'WWW-Authenticate', 'X-Request-Id'],
    }),
  );
  app.use(requireHost(requests));

  app.use(healthRoutes({ ...services, metricsToken: config.metricsToken }));
  app.use(async (request, _response, next) => {
    await entrance.knock(request);
    next();
  });

  const authenticated = requireToken(parts);
  const graphql = expressMiddleware(apollo, {
    context: ({ res }) => Promise.resolve(contextOf(res)),
  });
  if (!config.production) app.get('/graphql', landingPage(graphql));
  app.all('/graphql', authenticated, express.json({ limit: limits.requestBytes }), inFlight.track(graphql));

  const profiles = inFlight.track(importRoute(services, requests));
  app.put('/profiles', authenticated, mayImport, bodies.allowLong, profiles);

  // No token: whoever calls shows by the secret of the trigger that it may.
  app.post('/hooks/:triggerId', inFlight.track(hookRoute(services, requests, entrance.addressOf)));

  app.use(() => {
    throw new NotFoundError(
      'address',
      'There are POST /graphql, PUT /profiles, POST /hooks/:triggerId, GET /healthz, GET /readyz and GET /metrics.',
    );
  });
  app.use(errorHandler(requests));
  return app;
}

/** Answers are data: nothing may be loaded or run on their behalf, and no page may show them in a frame. */
const NOTHING_LOADS = { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] };

/** RFC 9112, 3.2. */
function requireHost(requests: Requests): RequestHandler {
  return (request, response, next) => {
    if (request.headers.host !== undefined || request.httpVersion === '1.0') {
      next();
      return;
    }
    const failure = badRequest(400, 'The request names no host.', 'Send the header "Host".');
    answerFailure(response, failure, requests.of(request));
  };
}

/** A page to try things out, for a browser that comes to look: it holds nothing of ours, so it needs no token. */
function landingPage(graphql: RequestHandler): RequestHandler {
  return (request, response, next) => {
    if (request.accepts('json', 'html') !== 'html') {
      next();
      return;
    }
    // It names what it loads in a policy of its own.
    response.removeHeader('Content-Security-Policy');
    request.body = {};
    return graphql(request, response, next);
  };
}

/** Before any body is read: who has no token costs nothing. */
function requireToken({ services, entrance, requests }: HttpParts): RequestHandler {
  return async (request, response, next) => {
    const { logger } = requests.of(request);
    const { principal, address } = await entrance.enter(request, request.headers.authorization, logger);
    response.locals.context = createContext({ ...services, logger }, principal, address);
    next();
  };
}

const mayImport: RequestHandler = async (_request, response, next) => {
  const context = contextOf(response);
  try {
    response.locals.actor = await authorise(context, 'PUT /profiles');
  } catch (error: unknown) {
    if (error instanceof SluiceError) await auditImport(context.services, context.actor, error.code);
    throw error;
  }
  next();
};

function contextOf(response: Response): Context {
  return response.locals.context as Context;
}
