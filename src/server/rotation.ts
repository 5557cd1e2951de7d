import type { Config } from '../config.js';
import { openDatabase } from '../open-database.js';
import { rotateKeys, type Rotation } from '../security/rotate-keys.js';
import { createSecretBox } from '../security/secret-box.js';
import { loadSecretKeys } from '../security/secret-keys.js';
import { dataModel } from './data-model.js';

/**
 * Seals the secrets of a server anew under the first of its keys, also beside the running server.
 * @throws if the keys or the database cannot be used.
 */
export async function rotateKeysOf(config: Config, onProgress: (rows: number) => void): Promise<Rotation> {
  const secretBox = createSecretBox(loadSecretKeys(config));
  const database = await openDatabase(config.database, dataModel);
  try {
    return await rotateKeys({ database, secretBox }, onProgress);
  } finally {
    await database.close();
  }
}
