import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Config } from '../config.js';
import { resolvers } from '../resolvers/resolvers.js';
import { createSchema } from '../schema/schema.js';
import type { Services } from '../schema/services.js';
import { createApollo } from './apollo.js';
import { createEntrance } from './entrance.js';
import { createGuards } from './graphql-guards.js';
import type { Health } from './health-routes.js';
import { createHttpApp } from './http.js';
import { createInFlight } from './in-flight.js';
import type { DoorLimits } from './limits.js';
import { answerBrokenRequests } from './raw-answer.js';
import { createRequests } from './requests.js';
import { openWebSocketDoor } from './websocket.js';

/** The two ways in, HTTP and WebSocket, at one port. */
export interface Doors {
  /** Like `http://127.0.0.1:4000`. */
  readonly url: string;
  /** Lets nobody in any more and resolves when everybody is out. */
  close(): Promise<void>;
}

/** How long requests and sockets may take to end before they are cut. */
const GRACE_MS = 3_000;

/** How often connections are looked at for headers that do not come. */
const LOOK_INTERVAL_MS = 1_000;

/** @throws if the port cannot be had. */
export async function openDoors(
  config: Config,
  services: Services & Health,
  limits: DoorLimits,
): Promise<Doors> {
  const schema = await createSchema(resolvers);
  const requests = createRequests(services.logger);
  const guards = createGuards(schema, { limits, introspection: config.introspection });
  const entrance = createEntrance(config, services);
  const inFlight = createInFlight();
  const apollo = createApollo(schema, { config, guards, requests });
  await apollo.start();
  const app = createHttpApp({ config, services, apollo, requests, inFlight, entrance, limits });
  const http = createServer(
    {
      headersTimeout: limits.headersMs,
      // How long a body may take depends on what it is for: see slow-bodies.ts.
      requestTimeout: 0,
      connectionsCheckingInterval: LOOK_INTERVAL_MS,
      // It is looked for in http.ts, which answers in JSON.
      requireHostHeader: false,
    },
    app,
  );
  answerBrokenRequests(http);
  const isServing = config.process !== 'worker';
  const sockets = isServing
    ? openWebSocketDoor(http, { config, services, schema, requests, guards, entrance, limits })
    : undefined;
  http.listen(config.port, config.host);
  await once(http, 'listening');

  return {
    url: urlOf(http),
    close: async () => {
      const cut = setTimeout(() => {
        http.closeAllConnections();
      }, GRACE_MS);
      // Listens no more from now on; is closed when the last connection is, the sockets' among them.
      const closed = new Promise((resolve) => http.close(resolve));
      await sockets?.close(GRACE_MS);
      await closed;
      clearTimeout(cut);
      // A handler whose connection was cut still writes down what it has.
      await inFlight.settled();
      await apollo.stop();
    },
  };
}

function urlOf(http: HttpServer): string {
  // It listens at a port, so this is neither the path of a pipe nor null.
  const { address, port, family } = http.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
