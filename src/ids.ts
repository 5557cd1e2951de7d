import { v7 } from 'uuid';

/**
 * A new row's id: a UUID whose order is the order of creation, so that pages by id are pages by age and inserts go to
 * the end of the index. (RFC 9562, version 7; the generator keeps the order within a millisecond.)
 */
export function newId(): string {
  return v7();
}

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether the text could be an id of ours. Whatever else stands where one is expected may be a secret in the wrong place. */
export function looksLikeId(text: string): boolean {
  return ID.test(text);
}
