import fc from 'fast-check';
import { startEngine, type Engine } from './helpers/engine.js';
import { connectedConnection } from './helpers/flows.js';
import { startProgram } from './helpers/program.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { temporaryFolder } from './helpers/sluice.js';
import { Driver } from './model/driver.js';
import {
  addressOf,
  sequences,
  type Change,
  type Fault,
  type Held,
  type Kill,
  type Sequence,
  type Step,
} from './model/operations.js';
import type { Place } from './model/stage.js';
import { startStillTime } from './model/still-time.js';

/*
 * Random sequences of what people do to profiles, segments, exports and the destination, each with runs, faults, outages,
 * outcomes that come late, and kills, against the reference model in test/model: after each run the sandbox holds what the
 * model holds, and the run tells, and costs, what the model says. The destination's time stands still while runs are under
 * way, so that it is exact which removals count as ours: real time is for runs-removal-windows.test.ts.
 *
 * A failure prints the sequence made as short as it goes, with its seed. Long runs, for hours if wanted:
 *
 *     MODEL_RUNS=500 npm run jest -- test/runs-model.test.ts          so many sequences, and a quarter of it with kills
 *     MODEL_SEED=42 MODEL_RUNS=500 npm run jest -- …                  the same ones again
 */
const RUNS = Number(process.env.MODEL_RUNS ?? 0);
const SEED = process.env.MODEL_SEED;

/** Beyond this no further sequence begins, unless a number of them was asked for. */
const RANDOM_MS = 10_000;
const KILLS_MS = 8_000;
/** For so long a sequence that failed is made shorter. */
const SHRINKING_MS = 40_000;
const PATIENCE_MS = RUNS > 0 ? 24 * 60 * 60_000 : 90_000;

async function follow(place: Place, { steps, leaves }: Sequence): Promise<void> {
  const driver = await Driver.start(place);
  try {
    for (const step of steps) await driver.step(step);
    await driver.finish();
    await driver.refresh(leaves);
  } finally {
    place.sandbox.clearFaults();
    place.sandbox.set({ subscriberLimit: null });
  }
}

async function followMany(
  place: Place,
  some: fc.Arbitrary<Sequence>,
  { runs, limitMs }: { readonly runs: number; readonly limitMs: number },
): Promise<void> {
  let played = 0;
  // fast-check's own time limit abandons a sequence in the middle: it would go on, and start servers, after the test.
  let endsAt = runs > 0 ? Infinity : performance.now() + limitMs;
  let hasFailed = false;
  const property = fc.asyncProperty(some, async (sequence) => {
    if (performance.now() > endsAt) return;
    try {
      await follow(place, sequence);
      played += 1;
    } catch (error: unknown) {
      if (!hasFailed) {
        endsAt = performance.now() + SHRINKING_MS;
        process.stderr.write(`runs-model: failed after ${played} sequences. ${String(error)}\n`);
      }
      hasFailed = true;
      throw error;
    }
  });
  await fc.assert(property, {
    numRuns: runs > 0 ? Math.ceil(runs) : 1_000,
    ...(SEED !== undefined && { seed: Number(SEED) }),
  });
  process.stderr.write(
    `runs-model: played ${played} random sequences${place.restart ? ' with kills' : ''}.\n`,
  );
}

const run = (exported: number, ...changes: Change[]): Step => ({
  changes,
  run: { export: exported, force: false },
});
const leave = (profile: number, segment: number): Change => ({ do: 'leave', profile, segment });
/** What happens while a run is held. */
const whileHeld = (decision: Held['decision'], ...changes: Change[]): Held => ({
  decision,
  changes,
  runsOther: true,
});
const join = (profile: number, segment: number): Change => ({ do: 'join', profile, segment });
const move = (profile: number, address: number): Change => ({
  do: 'move',
  profile,
  email: addressOf(address),
});
const optOut = (address: number): Change => ({ do: 'opt out', address, how: {} });
const refuse = (address: number, how: 'named' | 'later'): Change => ({ do: 'refuse', address, how });
const acceptAll: Change = { do: 'accept all' };

/** Sequences that a random one, or a doubt, has brought up. Profile n has address n and is in segment n modulo 3. */
const KNOWN: Readonly<Record<string, readonly Step[]>> = {
  'somebody who opted out moves while a twin takes the old address': [
    run(0),
    run(0, optOut(0), move(1, 0), move(0, 5)),
  ],
  'somebody who opted out moves, and later another one takes the old address': [
    run(0),
    run(0, optOut(0), move(0, 5)),
    run(0, move(1, 0)),
    run(0, { do: 'set', profile: 0, attribute: 'phone', value: '9' }),
  ],
  'somebody opts out by a second address and goes back to the first': [
    run(0),
    run(0, move(0, 5)),
    run(0, optOut(5), move(0, 0)),
  ],
  'somebody who opted out takes the address of a leaver': [
    run(0),
    run(0, leave(0, 0)),
    run(0, optOut(3), move(3, 0)),
  ],
  'somebody who opted out of what one export sent moves, and another export comes first': [
    run(0),
    run(1, optOut(1), move(1, 5)),
  ],
  'somebody whom another export took off the list is refused': [
    run(0),
    run(0, leave(1, 1)),
    run(1),
    run(1, join(1, 2), refuse(1, 'later')),
  ],
  'somebody comes back, is refused, and leaves again': [
    run(0),
    run(0, leave(0, 0)),
    run(0, join(0, 0), refuse(0, 'named')),
    run(0, leave(0, 0), acceptAll),
  ],
  'a newcomer does not fit into the account, and is tried again': [
    run(0, { do: 'fill the account' }),
    run(0),
    run(0, acceptAll),
  ],
  'no refusal of a full account stands, also of somebody who was refused before': [
    run(0, refuse(0, 'later')),
    { changes: [{ do: 'fill the account' }], run: { export: 0, force: true } },
    run(0),
  ],
  'somebody who opted out is refused by a batch that was sent twice, and leaves': [
    {
      ...run(1, optOut(2)),
      fault: { on: 'importer', nth: 1, times: 1, action: { type: 'reset', when: 'after' } },
    },
    run(1, leave(2, 2)),
  ],
  'a newcomer is refused and leaves': [run(0, refuse(0, 'later')), run(0, leave(0, 0), acceptAll)],
  'an unsubscribe is refused, and the person comes back': [
    run(0),
    run(0, leave(0, 0), refuse(0, 'later')),
    run(0),
    run(0, join(0, 0), acceptAll),
  ],
  'somebody is taken off while the export that wants the address is detached': [
    run(0),
    run(1),
    run(1, { do: 'detach', export: 0 }, leave(1, 1)),
    run(0, join(1, 0)),
  ],
  'somebody is taken off while the export that wants the address sends to another list': [
    run(0),
    run(1),
    run(1, { do: 'list', export: 0, list: 1 }, leave(1, 1)),
    run(0, join(1, 0), { do: 'list', export: 0, list: 0 }),
  ],
};

const hold = (exported: number, percent: number): Change => ({ do: 'hold', export: exported, percent });
const setActive = (segment: number, active: boolean): Change => ({ do: 'segment', segment, active });

/** Profiles 1 and 4 are in segment 1, which both exports have: export 0 has 0 and 1, export 1 has 1 and 2. */
const HELD: Readonly<Record<string, readonly Step[]>> = {
  'somebody leaves two exports, and the run of one is held and cancelled after the other has run': [
    run(0),
    run(1),
    { ...run(0, hold(0, 0), leave(0, 0), leave(1, 1)), held: whileHeld('cancel') },
    run(1, leave(4, 1)),
    run(1, join(1, 1), join(4, 1)),
  ],
  'somebody leaves two exports, and the run of one is held and approved after the other has run': [
    run(0),
    run(1),
    { ...run(0, hold(0, 0), leave(0, 0), leave(1, 1)), held: whileHeld('approve') },
  ],
  'a segment becomes inactive while a run is held, and the other export loses somebody': [
    run(0),
    run(1),
    {
      ...run(0, hold(0, 0), leave(0, 0), leave(1, 1)),
      held: whileHeld('approve', setActive(0, false)),
    },
    run(1),
  ],
  'an inactive segment is shared, and the other export loses somebody': [
    run(0),
    run(1),
    run(0, setActive(1, false)),
    run(1, leave(2, 2)),
    run(0, setActive(1, true), leave(4, 1)),
  ],
  'people are kept under KEEP, and the policy changes': [
    run(0, { do: 'policy', export: 0, keepsLeavers: true }),
    run(1),
    run(0, leave(1, 1), leave(4, 1)),
    run(1, { do: 'policy', export: 0, keepsLeavers: false }),
    { ...run(0, hold(0, 0)), held: whileHeld('approve') },
  ],
  'the last export that lets go never delivered the person': [
    run(0),
    run(1, refuse(1, 'later')),
    run(0, acceptAll, leave(1, 1), join(1, 2)),
    run(1, leave(1, 2)),
  ],
};

/** The importer is out of order for the whole run. */
const takesNothing: Fault = {
  on: 'importer',
  nth: 1,
  times: null,
  action: { type: 'answer', status: 500 },
};
const takesEverything: Fault = { ...takesNothing, action: { type: 'reset', when: 'after' } };

const OUTAGES: Readonly<Record<string, readonly Step[]>> = {
  'nobody arrives in an outage, and the next run sends everybody': [
    { ...run(0), fault: takesNothing },
    run(0),
  ],
  'everybody arrives in an outage, and one leaves before anybody knows': [
    { ...run(0), fault: takesEverything },
    run(0, leave(0, 0)),
    run(0, join(0, 0)),
  ],
  'a newcomer who opted out is in doubt after an outage, and leaves': [
    { ...run(0, optOut(0)), fault: takesEverything },
    run(0, leave(0, 0)),
  ],
  'values change in an outage that takes them, and change back': [
    run(0),
    { ...run(0, { do: 'set', profile: 0, attribute: 'phone', value: '9' }), fault: takesEverything },
    run(0, { do: 'set', profile: 0, attribute: 'phone', value: '0' }),
  ],
  'a leaver is not taken off in an outage, is taken off later, and returns': [
    run(0),
    { ...run(0, leave(0, 0)), fault: takesNothing },
    run(0),
    run(0, join(0, 0)),
  ],
  'a leaver is not taken off in an outage, and returns before the next run': [
    run(0),
    { ...run(0, leave(0, 0)), fault: takesNothing },
    run(0, join(0, 0)),
  ],
  'a leaver is taken off in an outage, so that nobody knows whose choice it was, and returns': [
    run(0),
    { ...run(0, leave(0, 0)), fault: takesEverything },
    run(0),
    run(0, join(0, 0)),
  ],
  'a person returns in an outage': [
    run(0),
    run(0, leave(0, 0)),
    { ...run(0, join(0, 0)), fault: takesEverything },
    run(0),
  ],
  'a person whom two exports deliver leaves both, one of them in an outage, and returns': [
    run(0),
    run(1),
    run(0, leave(1, 1)),
    { ...run(1), fault: takesNothing },
    run(0, join(1, 0)),
    run(1),
  ],
};

const cutOff = (step: Step): Step => ({ ...step, cutOff: true });

/** Nobody learns in the run what became of an accepted batch; the next run of the export asks. */
const LATE: Readonly<Record<string, readonly Step[]>> = {
  'newcomers turn out to have arrived': [cutOff(run(0)), run(0)],
  'newcomers turn out to have arrived, and one has left meanwhile': [cutOff(run(0)), run(0, leave(0, 0))],
  'a newcomer turns out to have been refused': [cutOff(run(0, optOut(0))), run(0), run(0, leave(0, 0))],
  'a change turns out to have arrived, and to be undone': [
    run(0),
    cutOff(run(0, { do: 'set', profile: 0, attribute: 'phone', value: '9' })),
    run(0, { do: 'set', profile: 0, attribute: 'phone', value: '0' }),
  ],
  'a leaver turns out to have been taken off at once, and returns': [
    run(0),
    cutOff(run(0, leave(0, 0))),
    run(0),
    run(0, join(0, 0)),
  ],
  'a leaver turns out to have been taken off some time ago, which proves nothing, and returns': [
    run(0),
    cutOff(run(0, leave(0, 0))),
    run(0, leave(1, 1)),
    run(0, join(0, 0), join(1, 1)),
  ],
  'somebody is taken off by another export before the batch tells that it had delivered the person': [
    run(1),
    cutOff(run(0)),
    run(1, { do: 'detach', export: 0 }, leave(1, 1)),
    run(0, join(1, 0)),
  ],
  'the account turns out to have been full': [
    cutOff(run(0, { do: 'fill the account' })),
    run(0),
    run(0, acceptAll),
  ],
};

/** Moments of a run that takes somebody off the list: it looks for the list, sends one batch, and asks about it once. */
const MOMENTS: Readonly<Record<string, Kill>> = {
  'when its batch is accepted': { at: 'accepted', nth: 1 },
  'when its request is answered': { at: 'call', nth: 2 },
  'when its batch is worked off': { at: 'processed', nth: 1 },
  'when its question is answered': { at: 'call', nth: 3 },
};

describe('the sandbox ends like the model when', () => {
  const leaves = [leave(0, 0), leave(1, 1), leave(2, 2)];
  let engine: Engine;
  let place: Place;

  beforeAll(async () => {
    const time = startStillTime();
    engine = await startEngine({ sandbox: time.sandbox });
    const { sandbox, sluice, connectionId } = engine;
    place = { sandbox, connectionId, time, sluice: () => sluice };
  });

  afterAll(() => engine[Symbol.asyncDispose]());

  const known = { ...KNOWN, ...HELD, ...OUTAGES, ...LATE };
  it.each(Object.entries(known))('%s', (_name, steps) => follow(place, { steps, leaves }));

  it(
    'people join, change, leave, move, share addresses and opt out, and calls fail',
    () => followMany(place, sequences({ faults: 2, kills: 0 }), { runs: RUNS, limitMs: RANDOM_MS }),
    PATIENCE_MS,
  );
});

describe('the sandbox ends like the model when the server is killed and started again', () => {
  const closing = new AsyncDisposableStack();
  let place: Place;
  let restarts = 0;

  beforeAll(async () => {
    const folder = closing.use(await temporaryFolder());
    const time = startStillTime();
    const sandbox = closing.use(await startTestSandbox(time.sandbox));
    let program = await startProgram(folder.path, sandbox);
    closing.defer(() => program[Symbol.asyncDispose]());
    place = {
      sandbox,
      time,
      connectionId: await connectedConnection(program.sluice, sandbox),
      sluice: () => program.sluice,
      restart: async () => {
        restarts += 1;
        await program[Symbol.asyncDispose]();
        program = await startProgram(folder.path, sandbox);
      },
    };
  });

  afterAll(() => closing.disposeAsync());

  it.each(Object.entries(MOMENTS))(
    'while a run takes somebody off who returns later: %s',
    async (_name, kill) => {
      const before = restarts;
      const steps = [run(0), { ...run(0, leave(0, 0)), kill }, run(0, join(0, 0))];
      await follow(place, { steps, leaves: [] });
      expect(restarts - before).toBe(1);
    },
    PATIENCE_MS,
  );

  it(
    'at any time, besides everything else',
    () => followMany(place, sequences({ faults: 1, kills: 3 }), { runs: RUNS / 4, limitMs: KILLS_MS }),
    PATIENCE_MS,
  );
});
