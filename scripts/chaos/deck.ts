import { ANY_TIME, POINTS, type Point } from './points.js';
import type { Random } from './random.js';

/** A kill that is to be. */
export interface Card {
  readonly point: Point;
  readonly nth: number;
  /** How often it was dealt without its point being reached. */
  readonly misses: number;
}

/** Kills at any time that are dealt with each round of the named points. */
const AT_ANY_TIME = 7;
const MAX_MISSES = 4;

/**
 * So many kills, every point equally often, in an order of chance; but an empty file is there only once, so that
 * the kills of the first start come first, and the one after the migration's commit is the last of these.
 */
export function deal(kills: number, random: Random): Card[] {
  const points: Point[] = [];
  while (points.length < kills) {
    const round = random.shuffle([...POINTS, ...Array<Point>(AT_ANY_TIME).fill(ANY_TIME)]);
    points.push(...round.slice(0, kills - points.length));
  }
  const first = points.filter(({ scene }) => scene === 'FIRST_START');
  const lasting = first.filter((point) => !endsTheFirstStart(point));
  const ending = first.filter(endsTheFirstStart);
  const later = points.filter(({ scene }) => scene !== 'FIRST_START');
  // There is one such commit; the other cards are played at any time.
  const instead = ending.slice(1).map(() => ANY_TIME);
  return [...lasting, ...ending.slice(0, 1), ...later, ...instead].map((point) => ({
    point,
    nth: random.whole(1, point.upTo),
    misses: 0,
  }));
}

/** The card once more, with a moment that comes soonest; undefined: it was tried often enough. */
export function dealAgain({ point, misses }: Card): Card | undefined {
  return misses + 1 >= MAX_MISSES ? undefined : { point, nth: 1, misses: misses + 1 };
}

function endsTheFirstStart({ trigger, scene }: Point): boolean {
  return scene === 'FIRST_START' && trigger.at === 'COMMIT' && trigger.when === 'after';
}
