import { createPace, type RequestKind } from '../src/exports/pace.js';
import { createPunctualQuestions } from '../src/exports/punctual-questions.js';
import { createTurns } from '../src/exports/turns.js';
import { createManualClock } from './helpers/manual-clock.js';
import { activeCampaignAt } from './helpers/stub-destination.js';

const LIMITS = activeCampaignAt([]).limits('name.api-us1.com');
const TEN_SECONDS = 10_000;

/**
 * An account at real speed for five minutes. A run sends batches with leavers, so many at the most, and asks about them; the
 * importer decides none of them. Afterwards other runs want something of the account all the time.
 */
async function fiveMinutes(most: number, others: readonly { kind: RequestKind; left: number }[]) {
  const clock = createManualClock();
  const turns = createTurns(createPace(LIMITS), clock);
  const left = () => 50_000;
  const punctual = createPunctualQuestions(clock, LIMITS, left);
  const over = new AbortController();
  const { signal } = over;
  const gaps: number[] = [];
  const sent = { ours: 0, others: 0 };
  const followed: Promise<void>[] = [];

  const followUp = async () => {
    let askedAt = clock.now();
    for (let waitMs = LIMITS.firstOutcomeMs; ; waitMs = LIMITS.outcomeIntervalMs) {
      await clock.sleep(waitMs, signal);
      const endWait = punctual.wait();
      await turns.take({ kind: 'CALL', priority: punctual.urgency, signal }, () => {
        endWait();
        gaps.push(clock.now() - askedAt);
        askedAt = clock.now();
        return Promise.resolve();
      });
    }
  };
  const send = async () => {
    for (; sent.ours < most; sent.ours += 1) {
      await turns.take({ kind: 'BATCH', priority: left, signal }, () => Promise.resolve());
      followed.push(followUp());
    }
  };
  const keepOn = async ({ kind, left: theirs }: { kind: RequestKind; left: number }) => {
    const priority = () => theirs;
    for (;;) {
      await turns.take({ kind, priority, signal }, () => Promise.resolve());
      if (kind === 'BATCH') sent.others += 1;
    }
  };
  const working = Promise.allSettled([send().then(() => Promise.all(others.map(keepOn)))]);
  await clock.pass(300_000);
  over.abort(new Error('over'));
  await working;
  await Promise.allSettled(followed);
  return { longestMs: Math.max(...gaps), sent };
}

describe('questions about removals', () => {
  it('come at least every ten seconds, however many batches an importer takes its time for', async () => {
    const { longestMs, sent } = await fiveMinutes(Infinity, []);
    expect(longestMs).toBeLessThanOrEqual(TEN_SECONDS);
    expect(sent.ours).toBeGreaterThanOrEqual(20);
  });

  it('come as often whatever the other runs of the account want', async () => {
    // A small run that only asks goes before all others, but not before these.
    const others = [
      { kind: 'BATCH', left: 1_000_000 },
      { kind: 'CALL', left: 3 },
    ] as const;
    const { longestMs, sent } = await fiveMinutes(20, others);
    expect(sent.ours).toBe(20);
    expect(longestMs).toBeLessThanOrEqual(TEN_SECONDS);
  });

  it('leave batches their pace while they are few', async () => {
    const { sent } = await fiveMinutes(5, [{ kind: 'BATCH', left: 50_000 }]);
    // A hundred a minute.
    expect(sent.ours + sent.others).toBeGreaterThanOrEqual(490);
  });
});
