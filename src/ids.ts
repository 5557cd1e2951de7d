import { v7 } from 'uuid';

/**
 * A new row's id: a UUID whose order is the order of creation, so that pages by id are pages by age and inserts go to
 * the end of the index. (RFC 9562, version 7; the generator keeps the order within a millisecond.)
 */
export function newId(): string {
  return v7();
}
