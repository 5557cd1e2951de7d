import { createWorkedAccounts, type AccountTurns } from '../src/connections/account-turns.js';
import { SOLE_SLOTS, type CallSlots } from '../src/connections/call-slots.js';
import { createCallerTurns } from '../src/connections/caller-turns.js';
import { RetryLaterError, type Credentials, type Destination } from '../src/destinations/destination.js';
import { measured } from '../src/destinations/measured.js';
import { RateLimitedError } from '../src/errors.js';
import { createManualClock } from './helpers/manual-clock.js';
import { errorOf } from './helpers/stub-destination.js';

const HERE = { account: 'acme', host: 'acme.api-us1.com', windowMs: 1_000 };

/** Callers of one process, and when their requests began, in ms. */
function callers(slots: CallSlots = SOLE_SLOTS) {
  const clock = createManualClock(0);
  const worked = createWorkedAccounts(false);
  const closing = new AbortController();
  const turns = createCallerTurns({ clock, worked, slots, closing: closing.signal });
  const begun: string[] = [];
  return {
    clock,
    worked,
    begun,
    close: () => {
      closing.abort();
    },
    ask: (name: string, { place = HERE, lastsMs = 0, fails }: AskOptions = {}) =>
      turns.take(place, async () => {
        begun.push(`${name} ${clock.monotonic()}`);
        if (lastsMs > 0) await clock.sleep(lastsMs);
        if (fails !== undefined) throw fails;
        return name;
      }),
  };
}

interface AskOptions {
  readonly place?: Parameters<ReturnType<typeof createCallerTurns>['take']>[0];
  readonly lastsMs?: number;
  readonly fails?: Error;
}

describe('the time that a destination takes', () => {
  it('does not hold the wait for a turn, and a call whose turn did not come is none', async () => {
    const clock = createManualClock(0);
    const told: string[] = [];
    const lists = async ({ turn }: Credentials) => {
      await turn?.(() => clock.sleep(200));
      await turn?.(() => clock.sleep(300));
      return [];
    };
    const destination = measured({ lists } as unknown as Destination, clock, (...call) =>
      told.push(call.join(' ')),
    );
    const credentials = { host: 'a', apiKey: 'b' };
    const turn: Credentials['turn'] = (request) => clock.sleep(1_000).then(request);
    const answer = destination.lists({ ...credentials, turn });
    await clock.pass(5_000);
    await answer;
    const refused = () => Promise.reject(new RateLimitedError('Too many.', 1));
    await errorOf(destination.lists({ ...credentials, turn: refused }));
    expect(told).toEqual(['lists ok 500']);
  });
});

describe('the requests of callers', () => {
  it('go to one account one after the other, a second after the answer before; accounts do not wait for each other', async () => {
    const { ask, begun, clock } = callers();
    const other = { ...HERE, account: 'other' };
    const asked = [ask('a', { lastsMs: 500 }), ask('b'), ask('x', { place: other }), ask('c')];
    await clock.pass(10_000);
    expect(await Promise.all(asked)).toEqual(['a', 'b', 'x', 'c']);
    expect(begun).toEqual(['a 0', 'x 0', 'b 1500', 'c 2500']);
  });

  it('share a turn with all who name the same host, as long as the account is not known', async () => {
    const { ask, begun, clock } = callers();
    const place = { ...HERE, account: undefined };
    const asked = [ask('a', { place }), ask('b', { place: { ...place } })];
    await clock.pass(5_000);
    await Promise.all(asked);
    expect(begun).toEqual(['a 0', 'b 1000']);
  });

  it('are refused with the time after which to come again when twenty wait already', async () => {
    const { ask, begun, clock } = callers();
    const asked = Array.from({ length: 20 }, (_, n) => ask(`${n}`).catch((error: unknown) => error));
    expect(await errorOf(ask('one more'))).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 20 });
    await clock.pass(30_000);
    await Promise.all(asked);
    expect(begun).toHaveLength(20);
  });

  it('wait for twenty seconds at the most, and hold nobody up who has given up', async () => {
    const { ask, begun, clock } = callers();
    const slow = ask('slow', { lastsMs: 25_000 });
    const impatient = errorOf(ask('impatient'));
    await clock.pass(20_000);
    expect(await impatient).toMatchObject({ code: 'RATE_LIMITED' });
    const patient = ask('patient');
    await clock.pass(10_000);
    expect(await Promise.all([slow, patient])).toEqual(['slow', 'patient']);
    expect(begun).toEqual(['slow 0', 'patient 26000']);
  });

  it('wait no longer when the server stops, and keep no timer of theirs', async () => {
    const { ask, begun, clock, close } = callers();
    const first = ask('a', { fails: new RetryLaterError('Too fast.', 15_000, true) }).catch(() => 'refused');
    await clock.pass(1);
    await first;
    const waiting = ['b', 'c'].map((name) => errorOf(ask(name)));
    await clock.pass(1);
    close();
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ code: 'CONFLICT' });
    expect(clock.sleepers()).toBe(0);
    expect(begun).toEqual(['a 0']);
  });

  it('rest for as long as the destination asks for, and at once refuse who would wait too long for it', async () => {
    const { ask, begun, clock } = callers();
    const refused = ask('a', { fails: new RetryLaterError('Too fast.', 15_000, true) }).catch(
      () => 'refused',
    );
    const next = ask('b');
    await clock.pass(16_000);
    expect(await Promise.all([refused, next])).toEqual(['refused', 'b']);
    expect(begun).toEqual(['a 0', 'b 15000']);
    const again = ask('c', { fails: new RetryLaterError('Too fast.', 60_000, true) }).catch(() => 'refused');
    await clock.pass(1_000);
    await again;
    expect(await errorOf(ask('d'))).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 59 });
    expect(begun).toHaveLength(3);
  });

  it('take part in the turns of an account that is worked here, and tell its worker to rest', async () => {
    const { ask, clock, worked } = callers();
    const told: number[] = [];
    let taken = 0;
    const turns: AccountTurns = {
      take: (perform) => {
        taken += 1;
        return perform();
      },
      pause: (ms) => told.push(ms),
    };
    worked.open('acme', turns);
    const failing = ask('a', { fails: new RetryLaterError('Too fast.', 3_000, true) }).catch(() => 'refused');
    const next = ask('b');
    await clock.pass(5_000);
    expect(await Promise.all([failing, next])).toEqual(['refused', 'b']);
    worked.close('acme', turns);
    const alone = ask('c');
    await clock.pass(5_000);
    await alone;
    expect({ taken, told }).toEqual({ taken: 2, told: [3_000] });
  });

  it('wait while another process has the slot, and leave it to others a second after the answer', async () => {
    let busyMs = 2_500;
    const freed: number[] = [];
    const { ask, begun, clock } = callers({
      reserve: () => {
        busyMs -= 100;
        const free = (ms: number) => Promise.resolve(void freed.push(ms));
        return Promise.resolve(busyMs > 0 ? { busyMs } : { free });
      },
    });
    const asked = ask('a');
    await clock.pass(10_000);
    await asked;
    expect(begun).toEqual(['a 2400']);
    expect(freed).toEqual([1_000]);
  });
});
