import type { FaultAction } from '../sandbox/faults.js';
import type { Sandbox } from '../sandbox/sandbox.js';
import { createPace } from '../src/exports/pace.js';
import { exportOf, imports, people, runFully, startEngine } from './helpers/engine.js';
import { activeCampaignAt } from './helpers/stub-destination.js';

const START = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const LATENCY_MS = 200;
const limits = activeCampaignAt([]).limits('name.api-us1.com');

/** Sends batches as fast as the pace allows to an account whose quota others use too, so many times a minute. */
function sendBesideOthers(othersPerMinute: number, minutes: number) {
  const pace = createPace(limits);
  const taken: number[] = [];
  let refused = 0;
  let accepted = 0;
  const arrive = (at: number) => {
    const isTaken = taken.filter((moment) => moment > at - MINUTE).length < limits.batchQuota.calls;
    if (isTaken) taken.push(at);
    return isTaken;
  };
  let othersAt = START + MINUTE / othersPerMinute;
  for (let now = START; now < START + minutes * MINUTE;) {
    for (; othersAt <= now; othersAt += MINUTE / othersPerMinute) arrive(othersAt);
    const ended = pace.spend('BATCH', now);
    ended(now + LATENCY_MS);
    if (arrive(now)) {
      accepted += 1;
    } else {
      refused += 1;
      pace.pauseUntil(now + LATENCY_MS + MINUTE);
    }
    now = pace.earliest('BATCH');
  }
  return { accepted, refused };
}

describe('a pace that was refused', () => {
  it('goes on evenly spaced after the pause, without a burst of what waited', () => {
    const pace = createPace(limits);
    pace.spend('BATCH', START)(START + LATENCY_MS);
    pace.pauseUntil(START + MINUTE);
    const moments = Array.from({ length: 20 }, () => {
      const at = pace.earliest('BATCH');
      pace.spend('BATCH', at)(at + LATENCY_MS);
      return at - START;
    });
    expect(moments).toEqual(Array.from({ length: 20 }, (_, n) => MINUTE + n * 600));
  });

  it('is lowered when it is refused again soon, once for all that was under way, and rises again', () => {
    const pace = createPace(limits);
    /** Begins a batch at the earliest; answers how long the next has to wait. */
    const spacing = () => {
      const at = pace.earliest('BATCH');
      pace.spend('BATCH', at)(at + LATENCY_MS);
      return pace.earliest('BATCH') - at;
    };
    expect(spacing()).toBe(600);
    pace.pauseUntil(START + MINUTE);
    expect(spacing()).toBe(600);
    expect(spacing()).toBe(600);
    for (let n = 0; n < 3; n += 1) pace.pauseUntil(START + 2 * MINUTE + n);
    const lowered = spacing();
    expect(lowered).toBeCloseTo(800, 0);
    const spacings = Array.from({ length: 900 }, spacing);
    const risen = spacings.indexOf(600);
    expect(risen * 600).toBeGreaterThan(6 * MINUTE);
    expect(spacings.slice(0, risen)).toEqual(spacings.slice(0, risen).sort((one, other) => other - one));
    for (let n = 0; n < 20; n += 1) {
      spacing();
      spacing();
      pace.pauseUntil(pace.earliest('BATCH') + 1_000);
    }
    expect(spacing()).toBeGreaterThan(2_300);
    expect(spacing()).toBeLessThanOrEqual(2_400);
  });

  it('is not lowered by one refusal now and then', () => {
    const pace = createPace(limits);
    for (const hour of [1, 2, 3]) {
      const at = START + hour * 60 * MINUTE;
      pace.spend('BATCH', at)(at + LATENCY_MS);
      pace.pauseUntil(at + MINUTE);
      const again = pace.earliest('BATCH');
      pace.spend('BATCH', again)(again + LATENCY_MS);
      expect(pace.earliest('BATCH') - again).toBe(600);
    }
  });

  it('is not lowered while each first request after a pause is refused: the destination is out of order', () => {
    const pace = createPace(limits);
    for (const waitMs of [1_000, 2_000, 4_000, 8_000, 16_000]) {
      const at = Math.max(START, pace.earliest('BATCH'));
      pace.spend('BATCH', at)(at + LATENCY_MS);
      pace.pauseUntil(at + LATENCY_MS + waitMs);
    }
    const at = pace.earliest('BATCH');
    pace.spend('BATCH', at)(at + LATENCY_MS);
    expect(pace.earliest('BATCH') - at).toBe(600);
  });

  it('finds what others leave, with a refusal every few minutes at the most', () => {
    for (const others of [20, 40, 60]) {
      const { accepted, refused } = sendBesideOthers(others, 60);
      expect({ others, refused, few: refused <= 15 }).toMatchObject({ few: true });
      const left = (limits.batchQuota.calls - others) * 60;
      expect({ others, accepted, most: accepted >= left * 0.7 }).toMatchObject({ most: true });
    }
    // Alone it is never refused, and loses the time of one answer a minute.
    const { accepted, refused } = sendBesideOthers(0, 60);
    expect(refused).toBe(0);
    expect(accepted).toBeGreaterThan(6_000 * 0.98);
  });
});

describe('a run at an account that refuses calls', () => {
  const timeScale = 60;
  const batches = 12;

  it.each<[string, FaultAction, { times: number; pauseMs: number }]>([
    ['429 with Retry-After', { type: 'rate-limit', retryAfterSeconds: 10 }, { times: 3, pauseMs: 10_000 }],
    ['429 without', { type: 'answer', status: 429 }, { times: 3, pauseMs: 1_000 }],
    ['503', { type: 'answer', status: 503 }, { times: 3, pauseMs: 1_000 }],
    ['the quota 400 of the importer', { type: 'quota' }, { times: 2, pauseMs: MINUTE }],
  ])('leaves it alone after %s, then goes on, and nobody is lost', async (_, action, { times, pauseMs }) => {
    await using engine = await startEngine({
      sandbox: { timeScale, quotas: false },
      sluice: { env: { SLUICE_SANDBOX_TIME_SCALE: String(timeScale) } },
    });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(250 * batches));
    sandbox.addFault({ on: 'importer', nth: 3, times, action });
    const run = await runFully(sluice, exportId);
    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 250 * batches } });
    const refused = sandbox.log.filter(({ fault }) => fault !== undefined);
    expect(refused).toHaveLength(times);
    expect(imports(sandbox)).toHaveLength(batches + times);
    for (const { at, seq } of refused) {
      const meanwhile = sandbox.log.filter((call) => call.seq > seq && call.at < at + pauseMs);
      // At most what was under way already when the refusal arrived here.
      expect(meanwhile.length).toBeLessThanOrEqual(3);
    }
  });
});

/** Another program that uses the same account: imports a batch of strangers. Answers the status. */
async function importStrangers({ url, token }: Sandbox, n: number): Promise<number> {
  const contacts = [1, 2].map((m) => ({ email: `stranger-${n}-${m}@example.org` }));
  const answer = await fetch(`${url}/api/3/import/bulk_import`, {
    method: 'POST',
    headers: { 'Api-Token': token, 'Content-Type': 'application/json' },
    body: JSON.stringify({ contacts }),
  });
  await answer.text();
  return answer.status;
}

describe('a run beside another program that uses up the quota of the account', () => {
  it('comes through, is refused only a few times, and loses nobody', async () => {
    const timeScale = 30;
    const batches = 90;
    // Time stands still until the other program has used the minute up and the run has noticed.
    const startMs = Date.now();
    let zero: number | undefined;
    await using engine = await startEngine({
      sandbox: {
        now: () => startMs + (zero === undefined ? 0 : (performance.now() - zero) * timeScale),
        requestsPerSecond: 1_000,
      },
      sluice: { env: { SLUICE_SANDBOX_TIME_SCALE: String(timeScale) } },
    });
    const { sandbox, sluice } = engine;
    const exportId = await exportOf(engine, people(250 * batches));
    let strangers = 0;
    while ((await importStrangers(sandbox, strangers)) === 200) strangers += 1;
    expect(strangers).toBe(100);

    const isOurs = ({ kind, contacts = 0 }: { kind: string; contacts?: number }) =>
      kind === 'importer' && contacts > 2;
    const others: Promise<number>[] = [];
    let ours = 0;
    sandbox.on('call', (call) => {
      if (!isOurs(call)) return;
      zero ??= performance.now();
      ours += 1;
      if (ours % 2 === 0) others.push(importStrangers(sandbox, strangers + ours));
    });
    const run = await runFully(sluice, exportId);
    await Promise.all(others);
    expect(run).toMatchObject({ state: 'SUCCEEDED', progress: { confirmed: 250 * batches } });
    const refused = sandbox.log.filter((call) => isOurs(call) && call.status !== 200);
    expect(refused.length).toBeGreaterThanOrEqual(1);
    expect(refused.length).toBeLessThanOrEqual(6);
  }, 60_000);
});
