import { ApolloServerErrorCode } from '@apollo/server/errors';
import type { ErrorRequestHandler, Request, Response } from 'express';
import { GraphQLError, type GraphQLErrorExtensions, type GraphQLFormattedError } from 'graphql';
import { ArgumentValidationError } from 'type-graphql';
import { BadInputError, RateLimitedError, SluiceError, describeError, type ErrorCode } from '../errors.js';
import { newId } from '../ids.js';
import type { Logger } from '../logger.js';
import type { OpenRequest, Requests } from './requests.js';

/**
 * What the caller may read of a failure, the same over HTTP and WebSocket.
 *
 * Three kinds of error reach the door. A SluiceError speaks to the caller: its code, message, remedy and field pass.
 * GraphQL's own refusals (syntax, validation, variables) keep Apollo's codes. Everything else is a bug or a fault of the
 * machine: the caller gets a correlation id and nothing more, the log gets the id and the stack.
 * Each of them carries the id of its request.
 */
export function formatGraphQLError(error: unknown, request: OpenRequest): GraphQLFormattedError {
  const { extensions, ...told } = tell(error, request.logger);
  return { ...told, extensions: { ...extensions, requestId: request.id } };
}

/** Apollo's codes for requests that are wrong in themselves. */
const CODES_OF_BAD_REQUESTS: ReadonlySet<unknown> = new Set(
  Object.values(ApolloServerErrorCode).filter((code) => code !== ApolloServerErrorCode.INTERNAL_SERVER_ERROR),
);

const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  BAD_USER_INPUT: 400,
  CONFLICT: 409,
  CONSENT_REQUIRED: 409,
  CONNECTION_IN_USE: 409,
  CONNECTION_FAILED: 502,
  IDEMPOTENCY_KEY_REUSED: 409,
  RATE_LIMITED: 429,
};

function tell(error: unknown, logger: Logger): GraphQLFormattedError {
  const reported = error instanceof GraphQLError ? error : undefined;
  const cause = reported?.originalError ?? error;
  const { locations, path } = reported?.toJSON() ?? {};
  const place = { ...(locations && { locations }), ...(path && { path }) };
  if (cause instanceof ArgumentValidationError) {
    return { ...describe(firstInvalidField(cause)), ...place };
  }
  if (cause instanceof SluiceError) return { ...describe(cause), ...place };
  if (cause instanceof GraphQLError && CODES_OF_BAD_REQUESTS.has(reported?.extensions.code)) {
    const { message, extensions } = reported ?? cause;
    const { code, remedy } = extensions;
    return {
      message: withoutValues(message),
      ...place,
      extensions: { code, ...(typeof remedy === 'string' && { remedy }) },
    };
  }
  return { ...mask(cause, logger), ...place };
}

/** Reasons of graphql-js that name types and fields alone. */
const HARMLESS_REASON =
  /(Field "\w+" (is not defined by|of required) type "[^"]*"( was not provided)?\.|Expected (non-nullable )?type "[^"]*" (not to be null|to be an object)\.)$/;

/**
 * graphql-js quotes the values that it refuses, and a refused input may hold an API key, which would end in the caller's
 * logs. The place and the expectation are enough to find the mistake.
 */
function withoutValues(quoted: string): string {
  const message = withoutSuggestions(quoted);
  const variable = /^Variable "(\$\w+)" got invalid value /.exec(message)?.[1];
  if (variable === undefined) {
    return message
      .replace(/(, found|value:) .*$/s, '$1 …')
      .replace(/^Value ".*" does not exist in/s, 'The value does not exist in');
  }
  const place = / at "([\w.[\]]+)"; /.exec(message)?.[1];
  const reason = HARMLESS_REASON.exec(message)?.[0] ?? 'The value is not of the expected type.';
  return `Variable "${variable}" got an invalid value${place === undefined ? '' : ` at "${place}"`}: ${reason}`;
}

const SUGGESTION = 'Did you mean ';

/**
 * The message without graphql-js's suggestions: they tell the schema, one name after the other, to whoever may not ask for it.
 * A quoted value of 90 kB may consist of the words alone, so each character is looked at once or twice and not more often.
 */
function withoutSuggestions(message: string): string {
  let kept = '';
  let from = 0;
  for (;;) {
    const begin = message.indexOf(SUGGESTION, from);
    const end = begin === -1 ? -1 : message.indexOf('?', begin);
    if (end === -1) return kept + message.slice(from);
    const hasSpace = begin > from && message[begin - 1] === ' ';
    kept += message.slice(from, hasSpace ? begin - 1 : begin);
    from = end + 1;
  }
}

/** The last of the Express handlers: whatever went wrong outside of GraphQL is told in the same JSON. */
export function errorHandler(requests: Requests): ErrorRequestHandler {
  return (error: unknown, request: Request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const opened = requests.of(request);
    answerFailure(response, describeFailure(error, opened.logger), opened);
  };
}

/** Answers a failure under the id of its request. */
export function answerFailure(response: Response, failure: FailureAnswer, request: OpenRequest): void {
  const { status, headers, body } = identify(failure, request);
  response.status(status).set(headers).json(body);
}

/** The same failure, with the id of its request. */
export function identify({ status, headers, body }: FailureAnswer, { id }: OpenRequest): FailureAnswer {
  const errors = body.errors.map(({ message, extensions }) => ({
    message,
    extensions: { ...extensions, requestId: id },
  }));
  return { status, headers: { ...headers, 'X-Request-Id': id }, body: { errors } };
}

/** An answer outside of GraphQL, in the same shape. */
export interface FailureAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly errors: readonly Described[] };
}

export function describeFailure(error: unknown, logger: Logger): FailureAnswer {
  if (error instanceof SluiceError) {
    const headers = {
      ...(error.code === 'UNAUTHENTICATED' && { 'WWW-Authenticate': 'Bearer' }),
      ...(error instanceof RateLimitedError && { 'Retry-After': String(error.retryAfterSeconds) }),
    };
    return { status: HTTP_STATUS[error.code], headers, body: { errors: [describe(error)] } };
  }
  const status = statusOfBodyError(error);
  if (status !== undefined) return badRequest(status, describeError(error), remedyFor(status));
  return { status: 500, headers: {}, body: { errors: [mask(error, logger)] } };
}

/** What is wrong with the request itself, before anybody looks at what it asks for. */
export function badRequest(status: number, message: string, remedy: string): FailureAnswer {
  const extensions = { code: ApolloServerErrorCode.BAD_REQUEST, remedy };
  return { status, headers: {}, body: { errors: [{ message, extensions }] } };
}

interface Described {
  message: string;
  extensions: GraphQLErrorExtensions;
}

function describe(error: SluiceError): Described {
  const { message, code, remedy, field } = error;
  const retryAfterSeconds = error instanceof RateLimitedError ? error.retryAfterSeconds : undefined;
  return {
    message,
    extensions: {
      code,
      ...(remedy && { remedy }),
      ...(field && { field }),
      ...(retryAfterSeconds && { retryAfterSeconds }),
    },
  };
}

function mask(error: unknown, logger: Logger): Described {
  const correlationId = newId();
  // Not the error object: what libraries hang on theirs (statements, parameters, requests) can be personal.
  const stack = error instanceof Error ? error.stack : describeError(error);
  logger.error({ correlationId, stack }, 'internal error');
  return {
    message: 'Something went wrong on our side.',
    extensions: {
      code: ApolloServerErrorCode.INTERNAL_SERVER_ERROR,
      remedy: 'Try again; if it stays, give the correlation id to whoever runs this server.',
      correlationId,
    },
  };
}

function firstInvalidField(error: ArgumentValidationError): SluiceError {
  const found = error.extensions.validationErrors;
  const path: string[] = [];
  let invalid = found[0];
  let rules: string[] = [];
  while (invalid !== undefined) {
    path.push(invalid.property);
    rules = Object.values(invalid.constraints ?? {});
    invalid = invalid.children?.[0];
  }
  const field = path.join('.');
  return new BadInputError(field, `${field} cannot be accepted.`, `Mind that ${rules.join(', and ')}.`);
}

/** Express's body parsers mark what is the caller's fault with a 4xx status and `expose`. */
function statusOfBodyError(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('status' in error) || !('expose' in error)) return undefined;
  const { status, expose } = error;
  return typeof status === 'number' && status >= 400 && status < 500 && expose === true ? status : undefined;
}

function remedyFor(status: number): string {
  return status === 413
    ? 'Send less at once: a GraphQL request may be 100 kB long.'
    : 'Send a GraphQL request as JSON in UTF-8: {"query": "…", "variables": {…}}.';
}
