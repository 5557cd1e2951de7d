import type { Credentials } from '../destinations/destination.js';
import type { Connection } from '../entities/connection.js';
import { ConnectionFailedError } from '../errors.js';
import { SealedTextError, type SecretBox, type SecretPlace } from '../security/secret-box.js';

/** The key of a connection, ready to be stored. */
export interface StoredKey {
  readonly sealedApiKey: string;
  readonly apiKeyHint: string | null;
}

const HINT_CHARACTERS = 4;
/** Of a shorter key, four characters would give too much away. */
const MIN_KEY_WITH_HINT = 12;

/** Seals a key for the row of one connection. */
export function sealApiKey(
  services: { readonly secretBox: SecretBox },
  connectionId: string,
  apiKey: string,
): StoredKey {
  return {
    sealedApiKey: services.secretBox.seal(apiKey, placeOf(connectionId)),
    apiKeyHint: apiKey.length >= MIN_KEY_WITH_HINT ? apiKey.slice(-HINT_CHARACTERS) : null,
  };
}

/**
 * The credentials of a connection, opened. They are for the destination alone: never log, answer or store them.
 * @throws {ConnectionFailedError} if no key is stored, or the stored one cannot be opened.
 */
export function openCredentials(
  services: { readonly secretBox: SecretBox },
  connection: Pick<Connection, 'id' | 'host' | 'sealedApiKey'>,
): Credentials {
  const { id, host, sealedApiKey } = connection;
  if (sealedApiKey === null) {
    throw new ConnectionFailedError(
      'The connection has no API key.',
      'Enter the API key that belongs to its host.',
    );
  }
  try {
    return { host, apiKey: services.secretBox.open(sealedApiKey, placeOf(id)) };
  } catch (error: unknown) {
    if (!(error instanceof SealedTextError)) throw error;
    throw new ConnectionFailedError(
      `The stored API key cannot be read. ${error.message}`,
      'Enter the API key again, or start the server with the secret key that sealed it.',
    );
  }
}

function placeOf(connectionId: string): SecretPlace {
  return { table: 'connections', row: connectionId, column: 'sealedApiKey' };
}
