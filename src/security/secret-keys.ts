import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Config } from '../config.js';
import { readOrMakePrivateFile } from './private-file.js';

const KEY_BYTES = 32;
const KEY_FILE = 'secret.key';

/** Where the key lies that the first start made. */
export function keyFileIn(dataFolder: string): string {
  return join(dataFolder, KEY_FILE);
}

/**
 * The keys for the secret box: those of the setting, else the one in the data folder, which the first start makes.
 * @throws if the file cannot be used; the message names it and says what to do.
 */
export function loadSecretKeys(config: Pick<Config, 'secretKeys' | 'dataFolder'>): readonly string[] {
  if (config.secretKeys !== undefined) return config.secretKeys;
  const file = keyFileIn(config.dataFolder);
  const key = readOrMakePrivateFile(file, () => randomBytes(KEY_BYTES).toString('base64'));
  if (Buffer.from(key, 'base64').length !== KEY_BYTES) {
    throw new Error(
      `The file ${file} is damaged: it must hold ${KEY_BYTES} bytes in base64. Bring it back from a backup; ` +
        'with a new key the stored API keys cannot be read and have to be entered again.',
    );
  }
  return [key];
}
