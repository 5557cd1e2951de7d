import { readFile } from 'node:fs/promises';
import { Failure } from '../client/failure.js';

/** Written by a server's first start, seen from the folder where it was started. */
const TOKEN_FILE = 'data/admin-token';

/** The token that was given, else that of the server's own file. @throws {Failure} if there is none. */
export async function findToken(...given: readonly (string | undefined)[]): Promise<string> {
  const found = given.find((token) => token !== undefined && token !== '');
  if (found !== undefined) return found;
  try {
    return (await readFile(TOKEN_FILE, 'utf8')).trim();
  } catch (error: unknown) {
    throw new Failure(
      `There is no token: none was given, and ${TOKEN_FILE} cannot be read.`,
      "Set SLUICE_TOKEN, or run this in the server's folder; the server shows the token at its first start.",
      { cause: error },
    );
  }
}
