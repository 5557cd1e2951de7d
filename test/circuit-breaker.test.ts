import {
  createCircuitBreaker,
  type BreakerState,
  type EarlierTries,
} from '../src/exports/circuit-breaker.js';
import { activeCampaignAt } from './helpers/stub-destination.js';
import { createManualClock } from './helpers/manual-clock.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const limits = activeCampaignAt([]).limits('name.api-us1.com');

/** Two runs of the account. */
const [RUN, OTHER] = [{}, {}];
const NOTHING: EarlierTries = { batches: 0, tries: 0, failures: 0, losses: 0, sinceMs: 0 };

function breakerAt(before: Partial<EarlierTries> = {}) {
  const earlier = { ...NOTHING, ...before };
  const clock = createManualClock();
  const states: BreakerState[] = [];
  const breaker = createCircuitBreaker(clock, limits, earlier, (state, before) => {
    if (state !== before) states.push(state);
  });
  /** A batch is sent, and this becomes of it. @returns whether it might be sent. */
  const send = (outcome: 'ACCEPTED' | 'ANSWERED' | 'UNPROVEN' | 'NOT_TAKEN') => {
    const ended = breaker.begin(RUN);
    ended?.(outcome);
    return ended !== undefined;
  };
  const ask = (isAnswered: boolean) => {
    const answered = breaker.claimQuestion(RUN);
    answered?.(isAnswered);
    return answered !== undefined;
  };
  const open = () => {
    for (let failures = 0; failures < 3; failures += 1) send('UNPROVEN');
  };
  return { clock, breaker, states, send, ask, open };
}

describe('the circuit breaker of an account', () => {
  it('opens after three failures without proof in a row, not after two, and not if a batch succeeded between', () => {
    const { breaker, send, states } = breakerAt();
    for (const outcome of ['UNPROVEN', 'UNPROVEN', 'ACCEPTED', 'UNPROVEN', 'UNPROVEN'] as const)
      send(outcome);
    expect(breaker.isOpen()).toBe(false);
    send('UNPROVEN');
    expect([breaker.isOpen(), send('ACCEPTED'), states]).toEqual([true, false, ['OPEN']]);
  });

  it('does not count what surely was not taken', () => {
    const { breaker, send } = breakerAt();
    for (let tries = 0; tries < 50; tries += 1) send('NOT_TAKEN');
    expect([breaker.isOpen(), breaker.admits(RUN)]).toEqual([false, 'ANY']);
  });

  it('lets one batch at a time go from the first failure until one succeeds', () => {
    const { breaker, send } = breakerAt();
    send('UNPROVEN');
    const ended = breaker.begin(RUN);
    expect([breaker.admits(RUN), breaker.begin(RUN)]).toEqual(['NONE', undefined]);
    ended?.('ACCEPTED');
    expect(breaker.admits(RUN)).toBe('ANY');
  });

  it('asks a harmless question after a minute, and lets one batch go when it was answered', async () => {
    const { clock, breaker, open, ask, send, states } = breakerAt();
    open();
    await clock.pass(MINUTE - 1);
    expect(ask(true)).toBe(false);
    await clock.pass(1);
    expect(ask(true)).toBe(true);
    expect(breaker.admits(RUN)).toBe('ONE');
    expect(send('ACCEPTED')).toBe(true);
    expect([states, breaker.admits(RUN)]).toEqual([['OPEN', 'HALF_OPEN', 'CLOSED'], 'ANY']);
  });

  it('spends no batch while the question is not answered, and asks again with growing pauses', async () => {
    const { clock, breaker, open, ask } = breakerAt();
    open();
    await clock.pass(MINUTE);
    const pauses: number[] = [];
    for (let questions = 0; questions < 8; questions += 1) {
      expect([ask(false), breaker.admits(RUN)]).toEqual([true, 'NONE']);
      const pause = (breaker.questionDueAt() ?? NaN) - clock.monotonic();
      pauses.push(pause / SECOND);
      await clock.pass(pause);
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
  });

  it('tests five times at the most in an hour, with twice the pause each time', async () => {
    const { clock, breaker, open, ask, send } = breakerAt();
    open();
    const from = clock.monotonic();
    const tests: number[] = [];
    while (clock.monotonic() - from < 3 * 60 * MINUTE) {
      await clock.pass((breaker.questionDueAt() ?? NaN) - clock.monotonic());
      ask(true);
      tests.push((clock.monotonic() - from) / MINUTE);
      send('UNPROVEN');
    }
    expect(tests).toEqual([1, 3, 7, 15, 31, 63, 95, 127, 159, 191]);
  });

  it('asks again after a test that surely was not taken, with no longer pause for it', async () => {
    const { clock, breaker, open, ask, send } = breakerAt();
    open();
    await clock.pass(MINUTE);
    ask(true);
    send('NOT_TAKEN');
    expect(breaker.admits(RUN)).toBe('NONE');
    await clock.pass(SECOND);
    expect(ask(true)).toBe(true);
    send('UNPROVEN');
    expect((breaker.questionDueAt() ?? NaN) - clock.monotonic()).toBe(2 * MINUTE);
  });

  it('closes when a batch that was under way when it opened is accepted', () => {
    const { breaker, states } = breakerAt();
    const ends = Array.from({ length: 5 }, () => breaker.begin(RUN));
    ends.slice(0, 4).forEach((ended) => ended?.('UNPROVEN'));
    expect(states).toEqual(['OPEN']);
    ends[4]?.('ACCEPTED');
    expect([states, breaker.admits(RUN)]).toEqual([['OPEN', 'CLOSED'], 'ANY']);
  });

  it('counts batches that are lost after their acceptance, and after losses a test is to be completed', async () => {
    const { clock, breaker, ask, send, states } = breakerAt();
    for (let batches = 0; batches < 3; batches += 1) {
      send('ACCEPTED');
      breaker.followedUp('LOST');
    }
    expect(states).toEqual(['OPEN']);
    await clock.pass(MINUTE);
    ask(true);
    send('ACCEPTED');
    expect([breaker.isOpen(), breaker.admits(RUN)]).toEqual([true, 'NONE']);
    breaker.followedUp('LOST');
    await clock.pass(2 * MINUTE);
    ask(true);
    send('ACCEPTED');
    breaker.followedUp('COMPLETED');
    expect([states.at(-1), breaker.admits(RUN)]).toEqual(['CLOSED', 'ANY']);
  });

  it('begins with one batch at a time where an earlier worker may have died, and closes when it is accepted', () => {
    const { breaker, send } = breakerAt({ batches: 16, tries: 16 });
    expect([breaker.isOpen(), breaker.admits(RUN)]).toEqual([false, 'ONE']);
    send('ACCEPTED');
    expect(breaker.admits(RUN)).toBe('ANY');
  });

  it('begins open in an outage that an earlier worker noticed, with the rest of its pause', async () => {
    const tried = { batches: 3, tries: 6, failures: 6, sinceMs: 3 * MINUTE };
    const { clock, breaker, ask, send, states } = breakerAt(tried);
    expect([breaker.isOpen(), breaker.admits(RUN)]).toEqual([true, 'NONE']);
    // Three tests failed.
    await clock.pass(5 * MINUTE - 1);
    expect(ask(true)).toBe(false);
    await clock.pass(1);
    expect([ask(true), send('ACCEPTED')]).toEqual([true, true]);
    expect([states, breaker.admits(RUN)]).toEqual([['HALF_OPEN', 'CLOSED'], 'ANY']);
  });

  const paused: [string, Partial<EarlierTries>, number][] = [
    ['one batch used up its tries before the breaker opened', { batches: 1, tries: 3 }, 1],
    ['16 batches were in flight', { batches: 16, tries: 16 }, 1],
    ['one of them was the first test', { batches: 16, tries: 17 }, 2],
    ['eight tests failed', { batches: 4, tries: 11 }, 32],
  ];

  it.each(paused)('takes up the pause where %s', (_name, { batches, tries = 0 }, minutes) => {
    const { clock, breaker } = breakerAt({ batches, tries, failures: tries });
    expect((breaker.questionDueAt() ?? NaN) - clock.monotonic()).toBe(minutes * MINUTE);
  });

  it('asks at once after an outage without a try for an hour, and begins with short pauses again', () => {
    const earlier = { batches: 4, tries: 11, failures: 11, sinceMs: 60 * MINUTE };
    const { clock, breaker, ask, send } = breakerAt(earlier);
    expect([breaker.isOpen(), ask(true), send('UNPROVEN')]).toEqual([true, true, true]);
    expect((breaker.questionDueAt() ?? NaN) - clock.monotonic()).toBe(2 * MINUTE);
  });

  it('wants a completed batch after an outage that began with losses', () => {
    const { breaker, ask, send } = breakerAt({
      batches: 1,
      tries: 3,
      failures: 3,
      losses: 3,
      sinceMs: MINUTE,
    });
    ask(true);
    send('ACCEPTED');
    expect(breaker.isOpen()).toBe(true);
    breaker.followedUp('COMPLETED');
    expect(breaker.isOpen()).toBe(false);
  });

  it('lets only the run that asked send the test, and asks again when that one has none', async () => {
    const { clock, breaker, open, ask } = breakerAt();
    open();
    await clock.pass(MINUTE);
    ask(true);
    expect([breaker.admits(OTHER), breaker.takePlace(OTHER), breaker.admits(RUN)]).toEqual([
      'NONE',
      false,
      'ONE',
    ]);
    breaker.leavePlace(OTHER);
    expect(breaker.admits(RUN)).toBe('ONE');
    breaker.leavePlace(RUN);
    expect([breaker.admits(RUN), breaker.isOpen()]).toEqual(['NONE', true]);
    await clock.pass(SECOND);
    breaker.claimQuestion(OTHER)?.(true);
    expect([breaker.admits(RUN), breaker.admits(OTHER)]).toEqual(['NONE', 'ONE']);
  });

  it('keeps the place of one batch at a time for the run that took it first', () => {
    const { breaker, send } = breakerAt();
    send('UNPROVEN');
    expect([breaker.takePlace(RUN), breaker.takePlace(OTHER), breaker.begin(OTHER)]).toEqual([
      true,
      false,
      undefined,
    ]);
    breaker.leavePlace(RUN);
    expect(breaker.takePlace(OTHER)).toBe(true);
    breaker.begin(OTHER)?.('ACCEPTED');
    expect(breaker.admits(RUN)).toBe('ANY');
  });
});
