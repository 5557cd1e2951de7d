import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApolloServer } from '@apollo/server';
import type { Config } from '../config.js';
import { resolvers } from '../resolvers/resolvers.js';
import type { Context } from '../schema/context.js';
import { createSchema } from '../schema/schema.js';
import type { Services } from '../schema/services.js';
import { createErrorFormat } from './error-format.js';
import { createHttpApp } from './http.js';
import { createInFlight } from './in-flight.js';
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

/** @throws if the port cannot be had. */
export async function openDoors(config: Config, services: Services): Promise<Doors> {
  const schema = await createSchema(resolvers);
  const format = createErrorFormat(services.logger);
  const apollo = new ApolloServer<Context>({
    schema,
    formatError: (_formatted, error) => format(error),
    includeStacktraceInErrorResponses: false,
    // What a signal does is decided in main.ts.
    stopOnTerminationSignals: false,
  });
  await apollo.start();
  const inFlight = createInFlight();
  const http = createServer(createHttpApp(services, apollo, inFlight));
  // An import of any size takes as long as it takes; node would cut it after five minutes.
  http.requestTimeout = 0;
  const sockets = openWebSocketDoor(http, services, schema, format);
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
      await sockets.close(GRACE_MS);
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
