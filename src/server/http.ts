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
import { watchPrincipal } from './shut-out.js';
import { createSlowBodies } from './slow-bodies.js';

export interface HttpParts {
  readonly config: Pick<Config, 'corsOrigins' | 'production' | 'process' | 'metricsToken'>;
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
  app.use(requireReadablePath(entrance));

  app.use(healthRoutes({ ...services, metricsToken: config.metricsToken }));
  if (config.process === 'worker') app.use(onlyWorks);
  // No token: whoever calls shows by the secret of the trigger that it may. Its size is looked at before it is counted.
  app.post('/hooks/:triggerId', inFlight.track(hookRoute(services, requests, entrance)));
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
  const watched = watchPrincipal(services.sessions);
  app.put('/profiles', authenticated, mayImport, watched, bodies.allowLong, profiles);

  app.use(() => {
    throw noSuchAddress();
  });
  app.use(errorHandler(requests));
  return app;
}

/** Answers are data: nothing may be loaded or run on their behalf, and no page may show them in a frame. */
const NOTHING_LOADS = { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] };

const onlyWorks: RequestHandler = () => {
  throw new NotFoundError(
    'address',
    'This process only works (SLUICE_PROCESS=worker): there are GET /healthz and GET /readyz. Ask one that serves.',
  );
};

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

/** The router decodes parts of the path, and what it cannot decode would pass for a fault of ours. */
function requireReadablePath(entrance: Entrance): RequestHandler {
  return async (request, _response, next) => {
    if (isReadable(request.path)) {
      next();
      return;
    }
    await entrance.knock(request);
    throw noSuchAddress();
  };
}

function isReadable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

function noSuchAddress(): NotFoundError {
  return new NotFoundError(
    'address',
    'There are POST /graphql, PUT /profiles, POST /hooks/:triggerId, GET /healthz and GET /readyz.',
  );
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
    response.locals.principal = principal;
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
