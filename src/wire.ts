/**
 * Tells the other processes of an installation that something changed: quickly, and without promise. Rows are the truth;
 * whoever must not miss a change looks at them again now and then, and when the wire was cut.
 */
export interface Wire {
  /** Whether there are other processes at all. */
  readonly isShared: boolean;
  /** Call it after the commit. What is told again before it has left is told once. */
  readonly tell: (topic: string, about: string) => void;
  /**
   * @param listener is called with what other processes tell, never with one's own.
   * @returns what ends the listening.
   */
  readonly hear: (topic: string, listener: (about: string) => void) => () => void;
  /** Whether others can be heard at present. */
  readonly isUp: () => boolean;
  readonly close: () => Promise<void>;
}

/** The wire of a single process: nobody is at the other end. */
export const NO_WIRE: Wire = {
  isShared: false,
  tell: () => undefined,
  hear: () => () => undefined,
  isUp: () => true,
  close: () => Promise.resolve(),
};
