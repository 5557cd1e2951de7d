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

function breakerAt(earlier: EarlierTries = { batches: 0, tries: 0 }) {
  const clock = createManualClock();
  const states: BreakerState[] = [];
  const breaker = createCircuitBreaker(clock, limits, earlier, (state, before) => {
    if (state !== before) states.push(state);
  });
  /** A batch is sent, and this becomes of it. @returns whether it might be sent. */
  const send = (outcome: 'ACCEPTED' | 'ANSWERED' | 'UNPROVEN' | 'NOT_TAKEN') => {
    const ended = breaker.begin();
    ended?.(outcome);
    return ended !== undefined;
  };
  const ask = (isAnswered: boolean) => {
    const answered = breaker.claimQuestion();
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
    expect([breaker.isOpen(), breaker.admits()]).toEqual([false, 'ANY']);
  });

  it('lets one batch at a time go from the first failure until one succeeds', () => {
    const { breaker, send } = breakerAt();
    send('UNPROVEN');
    const ended = breaker.begin();
    expect([breaker.admits(), breaker.begin()]).toEqual(['NONE', undefined]);
    ended?.('ACCEPTED');
    expect(breaker.admits()).toBe('ANY');
  });

  it('asks a harmless question after a minute, and lets one batch go when it was answered', async () => {
    const { clock, breaker, open, ask, send, states } = breakerAt();
    open();
    await clock.pass(MINUTE - 1);
    expect(ask(true)).toBe(false);
    await clock.pass(1);
    expect(ask(true)).toBe(true);
    expect(breaker.admits()).toBe('ONE');
    expect(send('ACCEPTED')).toBe(true);
    expect([states, breaker.admits()]).toEqual([['OPEN', 'HALF_OPEN', 'CLOSED'], 'ANY']);
  });

  it('spends no batch while the question is not answered, and asks again with growing pauses', async () => {
    const { clock, breaker, open, ask } = breakerAt();
    open();
    await clock.pass(MINUTE);
    const pauses: number[] = [];
    for (let questions = 0; questions < 8; questions += 1) {
      expect([ask(false), breaker.admits()]).toEqual([true, 'NONE']);
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
    expect(breaker.admits()).toBe('NONE');
    await clock.pass(SECOND);
    expect(ask(true)).toBe(true);
    send('UNPROVEN');
    expect((breaker.questionDueAt() ?? NaN) - clock.monotonic()).toBe(2 * MINUTE);
  });

  it('closes when a batch that was under way when it opened is accepted', () => {
    const { breaker, states } = breakerAt();
    const ends = Array.from({ length: 5 }, () => breaker.begin());
    ends.slice(0, 4).forEach((ended) => ended?.('UNPROVEN'));
    expect(states).toEqual(['OPEN']);
    ends[4]?.('ACCEPTED');
    expect([states, breaker.admits()]).toEqual([['OPEN', 'CLOSED'], 'ANY']);
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
    expect([breaker.isOpen(), breaker.admits()]).toEqual([true, 'NONE']);
    breaker.followedUp('LOST');
    await clock.pass(2 * MINUTE);
    ask(true);
    send('ACCEPTED');
    breaker.followedUp('COMPLETED');
    expect([states.at(-1), breaker.admits()]).toEqual(['CLOSED', 'ANY']);
  });

  it('goes on with what earlier workers of the account spent', () => {
    const afterKill = breakerAt({ batches: 16, tries: 16 });
    expect(afterKill.breaker.admits()).toBe('ONE');
    afterKill.send('ACCEPTED');
    expect(afterKill.breaker.admits()).toBe('ANY');

    const inOutage = breakerAt({ batches: 3, tries: 6 });
    inOutage.send('UNPROVEN');
    const pauseMs = (inOutage.breaker.questionDueAt() ?? NaN) - inOutage.clock.monotonic();
    expect(pauseMs).toBe(8 * MINUTE);
  });
});
