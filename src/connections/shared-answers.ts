import type { Clock } from '../clock.js';

/** Answers that many ask for at once, or one after the other. */
export interface SharedAnswers<T> {
  /**
   * The answer to the question of this name: the one that is under way, or was given a moment ago, or a new one.
   * @throws whatever `ask` throws; a failure is told to everybody who waits for it, and is not kept.
   */
  readonly get: (name: string, ask: () => Promise<T>) => Promise<T>;
}

interface Answer<T> {
  readonly answer: Promise<T>;
  /** By the monotonic clock; Infinity while the question is under way. */
  keptUntil: number;
  size: number;
}

/**
 * @param options.keepMs for how long an answer serves others; 0: only those who wait for it.
 * @param options.sizeOf how much of `maxSize` an answer takes up, while it is kept. What is too large is not kept.
 */
export function createSharedAnswers<T>(
  clock: Clock,
  options: { readonly keepMs: number; readonly maxSize: number; readonly sizeOf: (answer: T) => number },
): SharedAnswers<T> {
  const { keepMs, maxSize, sizeOf } = options;
  const answers = new Map<string, Answer<T>>();

  /** The oldest go first; who waits for a question that is under way holds it by themselves. */
  const makeRoom = () => {
    const now = clock.monotonic();
    for (const [name, { keptUntil }] of answers) if (keptUntil <= now) answers.delete(name);
    let size = [...answers.values()].reduce((sum, answer) => sum + answer.size, 0);
    for (const [name, answer] of answers) {
      if (size <= maxSize) return;
      if (answer.size === 0) continue;
      size -= answer.size;
      answers.delete(name);
    }
  };

  const begin = (name: string, ask: () => Promise<T>): Promise<T> => {
    const entry: Answer<T> = { answer: ask(), keptUntil: Infinity, size: 0 };
    const drop = () => {
      if (answers.get(name) === entry) answers.delete(name);
    };
    entry.answer.then((answer) => {
      entry.size = 1 + sizeOf(answer);
      entry.keptUntil = clock.monotonic() + keepMs;
      if (keepMs === 0) drop();
      makeRoom();
    }, drop);
    answers.set(name, entry);
    return entry.answer;
  };

  return {
    get: (name, ask) => {
      const known = answers.get(name);
      if (known !== undefined && known.keptUntil > clock.monotonic()) return known.answer;
      answers.delete(name);
      return begin(name, ask);
    },
  };
}
