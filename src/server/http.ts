import type { ApolloServer } from '@apollo/server';
import { expressMiddleware } from '@as-integrations/express5';
import express, { type Express, type RequestHandler, type Response } from 'express';
import type { User } from '../entities/user.js';
import { NotFoundError } from '../errors.js';
import { authenticate } from '../people/authenticate.js';
import { createContext, type Context } from '../schema/context.js';
import type { Services } from '../schema/services.js';
import { errorHandler } from './error-format.js';
import { hookRoute } from './hook-route.js';
import { importRoute } from './import-route.js';
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
        context: ({ res }) => Promise.resolve(createContext(services, actorOf(res))),
      }),
    ),
  );

  app.put('/profiles', authenticated, inFlight.track(importRoute(services)));

  // No token: whoever calls shows by the secret of the trigger that it may.
  app.post('/hooks/:triggerId', inFlight.track(hookRoute(services)));

  app.use(() => {
    throw new NotFoundError(
      'address',
      'There are POST /graphql, PUT /profiles, POST /hooks/:triggerId, GET /healthz and GET /readyz.',
    );
  });
  app.use(errorHandler(services.logger));
  return app;
}

/** Before any body is read: who has no token costs nothing. */
function requireToken(services: Services): RequestHandler {
  return async (request, response, next) => {
    response.locals.actor = await authenticate(services, request.headers.authorization);
    next();
  };
}

function actorOf(response: Response): User {
  return response.locals.actor as User;
}

function readiness({ database }: Services): RequestHandler {
  return async (_request, response) => {
    await database.reader.query('SELECT 1');
    response.json({ status: 'ready' });
  };
}
