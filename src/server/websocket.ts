import type { IncomingMessage, Server as HttpServer } from 'node:http';
import { ApolloServerErrorCode } from '@apollo/server/errors';
import {
  getOperationAST,
  GraphQLError,
  OperationTypeNode,
  parse,
  specifiedRules,
  subscribe,
  validate,
  type ExecutionArgs,
  type GraphQLSchema,
} from 'graphql';
import {
  CloseCode,
  handleProtocols,
  makeServer,
  type Context as SocketContext,
  type SubscribePayload,
} from 'graphql-ws';
import { WebSocket, WebSocketServer } from 'ws';
import type { Config } from '../config.js';
import { ConflictError, describeError, RateLimitedError, UnauthenticatedError } from '../errors.js';
import { createContext, type Context } from '../schema/context.js';
import type { Services } from '../schema/services.js';
import type { Admitted, Entrance } from './entrance.js';
import { formatGraphQLError } from './error-format.js';
import type { GraphQLGuards } from './graphql-guards.js';
import type { DoorLimits } from './limits.js';
import type { Requests } from './requests.js';
import { createSeats, type Seats } from './seats.js';
import { openLine } from './socket-line.js';
import { acceptUpgrades } from './upgrade.js';

/** Of RFC 6455's registry. After both, clients that reconnect by themselves do so; after the second, later and later. */
const GOING_AWAY = 1001;
const TRY_AGAIN_LATER = 1013;
/** How long a client may take to answer the close of its socket before it is cut: who was shut out is out in 5 s. */
const CLOSE_TIMEOUT_MS = 2_000;

type ConnectionParams = Record<string, unknown> | undefined;
/** What is known of a socket besides the protocol. */
interface Extra extends Record<PropertyKey, unknown> {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  /** Who it belongs to, once its connection_init is accepted. */
  admitted?: Admitted;
}
type Socket = SocketContext<ConnectionParams, Extra>;

export interface WebSocketDoor {
  /** Closes every socket with 1001 (going away); those that have not answered after `graceMs` are cut. */
  close(graceMs: number): Promise<void>;
}

export interface WebSocketParts {
  readonly config: Pick<Config, 'corsOrigins'>;
  readonly services: Services;
  readonly schema: GraphQLSchema;
  readonly requests: Requests;
  readonly guards: GraphQLGuards;
  readonly entrance: Entrance;
  readonly limits: DoorLimits;
}

/**
 * Subscriptions at `/graphql` by the protocol graphql-transport-ws.
 *
 * graphql-ws parses, validates and executes by itself, so nothing that is set on Apollo holds here: authentication,
 * guards, error codes and masking are done again, by the same functions. Only subscriptions run.
 */
export function openWebSocketDoor(http: HttpServer, parts: WebSocketParts): WebSocketDoor {
  const { config, entrance, requests, limits } = parts;
  // Apart from the call, because @types/ws does not know `closeTimeout` yet.
  const options = {
    noServer: true,
    maxPayload: limits.messageBytes,
    handleProtocols,
    closeTimeout: CLOSE_TIMEOUT_MS,
  };
  const sockets = new WebSocketServer(options);
  acceptUpgrades(http, sockets, { entrance, requests, corsOrigins: config.corsOrigins });
  const seats = createSeats(limits.socketsPerPrincipal);
  const protocol = makeServer<ConnectionParams, Extra>({
    connectionInitWaitTimeout: limits.connectionInitMs,
    onConnect: (socket) => admit(socket, parts, seats),
    onSubscribe: (socket, _id, payload) => prepare(socket, payload, parts),
    subscribe,
    onError: (_socket, _id, payload, errors) =>
      errors.map((error) => formatGraphQLError(error, requests.ofOperation(payload))),
    onNext: (_socket, _id, payload, _args, { errors, ...result }) =>
      errors && {
        ...result,
        errors: errors.map((error) => formatGraphQLError(asRefusal(error), requests.ofOperation(payload))),
      },
  });
  sockets.on('connection', (socket, request) => {
    const { logger } = requests.of(request);
    const line = openLine(socket, limits, logger);
    const closed = protocol.opened(line, { socket, request });
    socket.once('close', (code, reason) => {
      closed(code, reason.toString()).catch((error: unknown) => {
        logger.error({ error: describeError(error) }, 'a subscription could not be ended');
      });
    });
  });

  return {
    close: async (graceMs) => {
      for (const socket of sockets.clients) socket.close(GOING_AWAY, 'Going away');
      const cut = setTimeout(() => {
        for (const socket of sockets.clients) socket.terminate();
      }, graceMs);
      await new Promise((resolve) => sockets.close(resolve));
      clearTimeout(cut);
    },
  };
}

/** Answers whether the socket may stay; false closes it with 4403, if it is not closed already. */
async function admit(
  { connectionParams, extra }: Socket,
  { services, entrance, requests }: WebSocketParts,
  seats: Seats,
): Promise<boolean> {
  const { logger } = requests.of(extra.request);
  const authorization = authorizationIn(connectionParams);
  try {
    const given = typeof authorization === 'string' ? authorization : undefined;
    const admitted = await entrance.enter(extra.request, given, logger);
    if (seats.take(admitted.principal.user.id, extra.socket)) {
      const closed = services.sessions.open(admitted.principal, (reason) => {
        extra.socket.close(CloseCode.Forbidden, reason);
      });
      extra.socket.once('close', closed);
      // It may have gone while it was looked up; nobody tells a second time.
      if (extra.socket.readyState !== WebSocket.OPEN) closed();
      extra.admitted = admitted;
      return true;
    }
    extra.socket.close(TRY_AGAIN_LATER, 'Too many sockets');
  } catch (error: unknown) {
    if (error instanceof RateLimitedError) {
      extra.socket.close(TRY_AGAIN_LATER, `Too many requests; try again in ${error.retryAfterSeconds} s`);
    } else if (!(error instanceof UnauthenticatedError)) {
      logger.error({ error: describeError(error) }, 'a socket could not be authenticated');
      extra.socket.close(CloseCode.InternalServerError, 'Internal server error');
    }
  }
  return false;
}

/** Written in any case, as a header may be: many clients pass on what they have as headers. */
function authorizationIn(parameters: Readonly<Record<string, unknown>> | undefined): unknown {
  const given = Object.entries(parameters ?? {}).filter(([name]) => name.toLowerCase() === 'authorization');
  // Two that differ are as good as none.
  return new Set(given.map(([, value]) => value)).size === 1 ? given[0]?.[1] : undefined;
}

/** Turns a subscribe message into what graphql-js executes, or into the errors that refuse it. */
async function prepare(
  { extra, subscriptions }: Socket,
  payload: SubscribePayload,
  { services, entrance, limits, requests, ...parts }: WebSocketParts,
): Promise<ExecutionArgs | GraphQLError[]> {
  // graphql-ws closes a socket that subscribes before it is admitted.
  if (extra.admitted === undefined) throw new UnauthenticatedError('Nobody is signed in.');
  const { principal, address } = extra.admitted;
  // Counted before anything is waited for: this one is among them, and none that comes after it.
  if (Object.keys(subscriptions).length > limits.subscriptionsPerSocket) {
    const message = `This socket has ${limits.subscriptionsPerSocket} subscriptions already.`;
    return [asGraphQLError(new ConflictError(message, 'End one of them first, or open another socket.'))];
  }
  try {
    await entrance.countRequestOf(principal.user.id);
  } catch (error: unknown) {
    return [asGraphQLError(error)];
  }
  const { logger } = requests.ofOperation(payload);
  logger.debug({ operation: payload.operationName }, 'subscription asked for');
  return check(payload, parts, createContext({ ...services, logger }, principal, address));
}

function check(
  { query, operationName, variables }: SubscribePayload,
  { schema, guards }: Pick<WebSocketParts, 'schema' | 'guards'>,
  contextValue: Context,
): ExecutionArgs | GraphQLError[] {
  let document;
  try {
    document = parse(query, guards.parseOptions);
  } catch (error: unknown) {
    if (error instanceof GraphQLError) return [withCode(error, ApolloServerErrorCode.GRAPHQL_PARSE_FAILED)];
    throw error;
  }
  const invalid = validate(schema, document, [...specifiedRules, ...guards.rules], { hideSuggestions: true });
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
  try {
    guards.assertCost(document, operation, variables ?? {});
  } catch (error: unknown) {
    return [asGraphQLError(error)];
  }
  return { schema, document, operationName, variableValues: variables, contextValue };
}

/** Without a path nothing was executed yet: the variables were refused. Apollo gives that the same code over HTTP. */
function asRefusal(error: GraphQLError): GraphQLError {
  return error.path === undefined ? withCode(error, ApolloServerErrorCode.BAD_USER_INPUT) : error;
}

function asGraphQLError(error: unknown): GraphQLError {
  if (error instanceof GraphQLError) return error;
  const originalError = error instanceof Error ? error : new Error(describeError(error));
  return new GraphQLError(originalError.message, { originalError });
}

function withCode(error: GraphQLError, code: ApolloServerErrorCode): GraphQLError {
  const { message, nodes, source, positions, originalError } = error;
  const extensions = { ...error.extensions, code };
  return new GraphQLError(message, { nodes, source, positions, originalError, extensions });
}
