import type { ApolloServer } from '@apollo/server';
import { expressMiddleware } from '@as-integrations/express5';
import express, { type Express, type RequestHandler, type Response } from 'express';
import { NotFoundError, SluiceError } from '../errors.js';
import { authorise } from '../schema/authorise.js';
import { createContext, type Context } from '../schema/context.js';
import type { Services } from '../schema/services.js';
import { errorHandler } from './error-format.js';
import { auditImport, importRoute } from './import-route.js';
import type { InFlight } from './in-flight.js';

/** A GraphQL request may be this long, over HTTP and WebSocket. */
export const MAX_REQUEST_BYTES = 100_000;

/** Everything that is answered over HTTP; every answer is JSON, the failures too. */
export function createHttpApp(
  services: Services,
  apollo: ApolloServer<Context>,
  inFlight: InFlight,
): Express {
  const app = express();
  app.disable('x-powered-by');
  // An answer is about this moment and for this caller: nobody asks for it again by its hash.
  app.disable('etag');

  app.get('/healthz', (_request, response) => {
    response.json({ status: 'ok' });
  });
  app.get('/readyz', readiness(services));

  const authenticated = requireToken(services);
  app.all(
    '/graphql',
    authenticated,
    express.json({ limit: MAX_REQUEST_BYTES }),
    inFlight.track(
      expressMiddleware(apollo, {
        context: ({ res }) => Promise.resolve(contextOf(res)),
      }),
    ),
  );

  app.put('/profiles', authenticated, mayImport(services), inFlight.track(importRoute(services)));

  app.use(() => {
    throw new NotFoundError(
      'address',
      'There are POST /graphql, PUT /profiles, GET /healthz and GET /readyz.',
    );
  });
  app.use(errorHandler(services.logger));
  return app;
}

/** Before any body is read: who has no token costs nothing. */
function requireToken(services: Services): RequestHandler {
  return async (request, response, next) => {
    const address = request.ip ?? null;
    const principal = await services.signIn(request.headers.authorization, address);
    response.locals.context = createContext(services, principal, address);
    next();
  };
}

function mayImport(services: Services): RequestHandler {
  return async (_request, response, next) => {
    const context = contextOf(response);
    try {
      response.locals.actor = await authorise(context, 'PUT /profiles');
    } catch (error: unknown) {
      if (error instanceof SluiceError) await auditImport(services, context.actor, error.code);
      throw error;
    }
    next();
  };
}

function contextOf(response: Response): Context {
  return response.locals.context as Context;
}

function readiness({ database }: Services): RequestHandler {
  return async (_request, response) => {
    await database.reader.query('SELECT 1');
    response.json({ status: 'ready' });
  };
}
