import {
  afterAnswer,
  afterEnd,
  afterLoss,
  lateWindow,
  MAX_GAP_MS,
  windowsOf,
  type WindowState,
} from '../src/exports/removal-windows.js';

const at = (seconds: number) => seconds * 1_000;

/** A batch that was accepted: its attempt began, and was answered, at these seconds. */
const accepted = (begun: number, answered: number): WindowState => ({
  begunAt: new Date(at(begun)),
  seenAt: new Date(at(answered)),
  windows: null,
});

type Step = readonly ['waits' | 'works' | 'done', seconds: number | undefined];

/** The windows, in seconds, after answers of which none was kept away longer than a minute. */
function windowsAfter(state: WindowState, ...steps: readonly Step[]): number[][] {
  const last = steps.reduce((before, [what, seconds]) => {
    const time = seconds === undefined ? undefined : at(seconds);
    return what === 'done'
      ? afterEnd(before, time, MAX_GAP_MS)
      : afterAnswer(before, { at: time, begun: what === 'works' }, MAX_GAP_MS);
  }, state);
  return windowsOf(last).map(({ from, to }) => [from / 1_000, to / 1_000]);
}

describe('the window in which the removals of an attempt took effect', () => {
  it.each<[string, WindowState, Step[], number[][]]>([
    ['opens when the attempt began', accepted(10, 11), [['done', 18]], [[10, 18]]],
    ['may be a single second', accepted(10, 10), [['done', 10]], [[10, 10]]],
    [
      'opens at the latest answer that the batch waits',
      accepted(10, 11),
      [
        ['waits', 20],
        ['waits', 30],
        ['works', 40],
        ['done', 50],
      ],
      [[30, 50]],
    ],
    [
      'spans as long as the destination works, if it is asked often enough',
      accepted(10, 11),
      [
        ['works', 60],
        ['works', 110],
        ['done', 160],
      ],
      [[10, 160]],
    ],
    [
      'has a gap where nobody could ask for more than a minute',
      accepted(10, 11),
      [
        ['works', 20],
        ['works', 81],
        ['done', 90],
      ],
      [
        [10, 20],
        [81, 90],
      ],
    ],
    [
      'has none where it was a minute',
      accepted(10, 11),
      [
        ['works', 20],
        ['works', 80],
        ['done', 90],
      ],
      [[10, 90]],
    ],
    [
      'ends at the beginning of a gap at whose end the batch is done',
      accepted(10, 11),
      [
        ['works', 20],
        ['done', 81],
      ],
      [[10, 20]],
    ],
    [
      'is not there if the batch waited before such a gap',
      accepted(10, 11),
      [
        ['waits', 20],
        ['done', 81],
      ],
      [],
    ],
    [
      'opens after a gap at whose end the batch still waits',
      accepted(10, 11),
      [
        ['waits', 200],
        ['works', 210],
        ['done', 220],
      ],
      [[200, 220]],
    ],
    [
      'is as small as the accepted attempt without a time in the last answer',
      accepted(10, 11),
      [['done', undefined]],
      [[10, 11]],
    ],
    [
      'does not grow by answers without a time',
      accepted(10, 11),
      [
        ['works', undefined],
        ['done', 30],
      ],
      [[10, 30]],
    ],
    ['is not there if the clock was put back before the end', accepted(100, 101), [['done', 50]], []],
    [
      'is not there if one answer in between was dated in the future',
      accepted(10, 11),
      [
        ['waits', 4_000],
        ['done', 30],
      ],
      [],
    ],
    [
      'does not reach into the future with a last answer from there',
      accepted(10, 11),
      [
        ['works', 15],
        ['done', 4_000],
      ],
      [[10, 15]],
    ],
    [
      'is not there without a time of the attempt',
      { begunAt: null, seenAt: null, windows: null },
      [
        ['works', 20],
        ['done', 30],
      ],
      [],
    ],
  ])('%s', (_what, state, steps, expected) => {
    expect(windowsAfter(state, ...steps)).toEqual(expected);
  });

  it('ends at the latest answer when the batch is lost, and the next attempt has its own', () => {
    const lost = afterLoss(afterAnswer(accepted(10, 11), { at: at(30), begun: true }, MAX_GAP_MS));
    expect(lost).toMatchObject({ begunAt: null, seenAt: null });
    const again = { ...lost, begunAt: new Date(at(100)), seenAt: new Date(at(101)) };
    expect(windowsAfter(again, ['done', 110])).toEqual([
      [10, 30],
      [100, 110],
    ]);
  });

  it('is not there for a batch that waited when it was lost', () => {
    const waiting = afterAnswer(accepted(10, 11), { at: at(30), begun: false }, MAX_GAP_MS);
    expect(windowsOf(afterLoss(waiting))).toEqual([]);
    expect(windowsOf(waiting)).toEqual([]);
  });

  it('keeps three parts at the most, the latest', () => {
    const steps = Array.from({ length: 10 }, (_, n): Step => [
      'works',
      11 + Math.floor(n / 2) * 100 + (n % 2) * 10,
    ]);
    expect(windowsAfter(accepted(10, 11), ...steps).length).toBeLessThanOrEqual(3);
  });

  it('closes with a late outcome only within the minute', () => {
    const unknown = accepted(10, 11);
    expect(lateWindow(unknown, at(71), MAX_GAP_MS)).toEqual({ from: at(10), to: at(71) });
    expect(lateWindow(unknown, at(72), MAX_GAP_MS)).toBeUndefined();
    expect(lateWindow(unknown, at(9), MAX_GAP_MS)).toBeUndefined();
    expect(lateWindow(unknown, undefined, MAX_GAP_MS)).toBeUndefined();
    expect(lateWindow(afterLoss(unknown), at(12), MAX_GAP_MS)).toBeUndefined();
  });
});
