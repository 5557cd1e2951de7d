import type { Server as HttpServer } from 'node:http';
import { ApolloServerErrorCode } from '@apollo/server/errors';
import {
  getOperationAST,
  GraphQLError,
  OperationTypeNode,
  parse,
  subscribe,
  validate,
  type ExecutionArgs,
} from 'graphql';
import type { GraphQLSchema } from 'graphql';
import { CloseCode, type Context as SocketContext, type SubscribePayload } from 'graphql-ws';
import { useServer, type Extra } from 'graphql-ws/use/ws';
import { WebSocket, WebSocketServer } from 'ws';
import { UnauthenticatedError, describeError } from '../errors.js';
import type { Principal } from '../people/principal.js';
import { createContext, type Context } from '../schema/context.js';
import type { Services } from '../schema/services.js';
import type { FormatGraphQLError } from './error-format.js';
import { MAX_REQUEST_BYTES } from './http.js';

const PING_INTERVAL_MS = 12_000;
/** How long a client may take to answer the close of its socket before it is cut: who was shut out is out in 5 s. */
const CLOSE_TIMEOUT_MS = 2_000;

type ConnectionParams = Record<string, unknown> | undefined;
/** What a socket keeps of its connection_init. */
interface Admitted extends Record<PropertyKey, unknown> {
  principal: Principal;
  /** Nobody needs to watch over the socket any more. */
  closed: () => void;
}
type Socket = SocketContext<ConnectionParams, Extra & Partial<Admitted>>;

export interface WebSocketDoor {
  /** Closes every socket with 1001 (going away); those that have not answered after `graceMs` are cut. */
  close(graceMs: number): Promise<void>;
}

/**
 * Subscriptions at `/graphql` by the protocol graphql-transport-ws.
 *
 * graphql-ws parses, validates and executes by itself, so nothing that is set on Apollo holds here: authentication,
 * error codes and masking are done again, by the same functions. Only subscriptions run.
 */
export function openWebSocketDoor(
  http: HttpServer,
  services: Services,
  schema: GraphQLSchema,
  format: FormatGraphQLError,
): WebSocketDoor {
  // Apart from the call, because @types/ws does not know `closeTimeout` yet.
  const options = {
    noServer: true,
    path: '/graphql',
    maxPayload: MAX_REQUEST_BYTES,
    closeTimeout: CLOSE_TIMEOUT_MS,
  };
  const sockets = new WebSocketServer(options);
  http.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (webSocket) =>
      sockets.emit('connection', webSocket, request),
    );
  });

  const protocol = useServer<ConnectionParams, Admitted>(
    {
      onConnect: (socket) => admit(socket, services),
      onClose: ({ extra }) => extra.closed?.(),
      onSubscribe: (socket, _id, payload) => prepare(payload, schema, contextOf(socket, services)),
      subscribe,
      onError: (_socket, _id, _payload, errors) => errors.map(format),
      onNext: (_socket, _id, _payload, _args, { errors, ...result }) =>
        errors && { ...result, errors: errors.map((error) => format(asRefusal(error))) },
      // Or the reason of a close would tell what went wrong inside.
      isProd: true,
    },
    sockets,
    PING_INTERVAL_MS,
  );

  return {
    close: async (graceMs) => {
      const cut = setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate();
      }, graceMs);
      await protocol.dispose();
      clearTimeout(cut);
    },
  };
}

/** Answers whether the socket may stay; false closes it with 4403. */
async function admit({ connectionParams, extra }: Socket, services: Services): Promise<boolean> {
  const authorization = connectionParams?.authorization;
  try {
    const given = typeof authorization === 'string' ? authorization : undefined;
    extra.principal = await services.signIn(given, addressOf(extra));
    const end = (reason: string) => extra.socket.close(CloseCode.Forbidden, reason);
    extra.closed = services.sessions.open(extra.principal, end);
    // It may have gone while it was looked up; nobody tells a second time.
    if (extra.socket.readyState !== WebSocket.OPEN) extra.closed();
    return true;
  } catch (error: unknown) {
    if (!(error instanceof UnauthenticatedError)) {
      services.logger.error({ error: describeError(error) }, 'a socket could not be authenticated');
      extra.socket.close(CloseCode.InternalServerError, 'Internal server error');
    }
    return false;
  }
}

function contextOf({ extra }: Socket, services: Services): Context {
  // graphql-ws closes a socket that subscribes before it is admitted.
  if (extra.principal === undefined) throw new UnauthenticatedError('Nobody is signed in.');
  return createContext(services, extra.principal, addressOf(extra));
}

function addressOf({ request }: Extra): string | null {
  return request.socket.remoteAddress ?? null;
}

/** Turns a subscribe message into what graphql-js executes, or into the errors that refuse it. */
function prepare(
  { query, operationName, variables }: SubscribePayload,
  schema: GraphQLSchema,
  contextValue: Context,
): ExecutionArgs | GraphQLError[] {
  let document;
  try {
    document = parse(query);
  } catch (error: unknown) {
    if (error instanceof GraphQLError) return [withCode(error, ApolloServerErrorCode.GRAPHQL_PARSE_FAILED)];
    throw error;
  }
  const invalid = validate(schema, document);
  if (invalid.length > 0) {
    return invalid.map((error) => withCode(error, ApolloServerErrorCode.GRAPHQL_VALIDATION_FAILED));
  }
  const operation = getOperationAST(document, operationName);
  if (operation?.operation !== OperationTypeNode.SUBSCRIPTION) {
    return [
      new GraphQLError('Only a subscription can be started here.', {
        extensions: {
          code: ApolloServerErrorCode.OPERATION_RESOLUTION_FAILURE,
          remedy: 'Send queries and mutations to POST /graphql; name the operation if there are several.',
        },
      }),
    ];
  }
  return { schema, document, operationName, variableValues: variables, contextValue };
}

/** Without a path nothing was executed yet: the variables were refused. Apollo gives that the same code over HTTP. */
function asRefusal(error: GraphQLError): GraphQLError {
  return error.path === undefined ? withCode(error, ApolloServerErrorCode.BAD_USER_INPUT) : error;
}

function withCode(error: GraphQLError, code: ApolloServerErrorCode): GraphQLError {
  const { message, nodes, source, positions, originalError } = error;
  return new GraphQLError(message, { nodes, source, positions, originalError, extensions: { code } });
}
