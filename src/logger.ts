import pino, { type DestinationStream, type Logger } from 'pino';

export type { Logger };

/** What must never reach a log, wherever it hides in a logged object. */
const SECRET_PATHS = [
  'apiKey',
  'token',
  'secret',
  'authorization',
  'headers.authorization',
  'headers["Api-Token"]',
];

/** JSON lines on standard output. Nothing secret and, at level info and above, nothing personal is ever logged. */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = { level, base: null, redact: SECRET_PATHS, serializers: { err: describe } };
  return destination === undefined ? pino(options) : pino(options, destination);
}

/** Of an error, what happened and where. TypeORM hangs statements and their parameters on its errors: people's data. */
function describe(error: unknown): unknown {
  return error instanceof Error
    ? { type: error.name, message: error.message, stack: error.stack }
    : String(error);
}
