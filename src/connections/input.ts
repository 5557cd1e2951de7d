import { BadInputError } from '../errors.js';

const MAX_KEY_CHARACTERS = 500;
/** What the product promises for one export; a contract may allow less. */
export const MAX_PROFILE_LIMIT = 1_000_000;

/** It travels in a header, so nothing but visible ASCII can be meant. */
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/** An API key without spaces around it. The key itself appears in no message. @throws {BadInputError} */
export function parseApiKey(input: string): string {
  const key = input.trim();
  if (key.length > MAX_KEY_CHARACTERS || !VISIBLE_ASCII.test(key)) {
    throw new BadInputError(
      'apiKey',
      'The API key is empty, too long, or contains characters that no API key has.',
      'Copy the key from Settings > Developer in ActiveCampaign, without spaces or line breaks.',
    );
  }
  return key;
}

/** How many profiles an export may send. @throws {BadInputError} */
export function parseProfileLimit(input: number): number {
  if (!Number.isInteger(input) || input < 1 || input > MAX_PROFILE_LIMIT) {
    throw new BadInputError(
      'profileLimit',
      `The profile limit is ${input}.`,
      `Give a whole number from 1 to ${MAX_PROFILE_LIMIT}.`,
    );
  }
  return input;
}
