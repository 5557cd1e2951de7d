import fc from 'fast-check';
import type { FaultAction } from '../../sandbox/faults.js';
import type { RouteKind } from '../../sandbox/journal.js';
import type { Refusing } from './destination.js';

/** Numbers stand for one of few profiles, segments, exports, addresses and lists. */
export type Change =
  | { readonly do: 'join' | 'leave'; readonly profile: number; readonly segment: number }
  | { readonly do: 'set'; readonly profile: number; readonly attribute: string; readonly value: string }
  | { readonly do: 'move'; readonly profile: number; readonly email: string }
  | { readonly do: 'opt out'; readonly address: number; readonly how: { reason?: string; campaign?: string } }
  | { readonly do: 'opt in'; readonly address: number }
  | { readonly do: 'refuse'; readonly address: number; readonly how: Refusing }
  | { readonly do: 'accept all' }
  | { readonly do: 'fill the account' }
  | { readonly do: 'segment'; readonly segment: number; readonly active: boolean }
  | { readonly do: 'policy'; readonly export: number; readonly keepsLeavers: boolean }
  | { readonly do: 'hold'; readonly export: number; readonly percent: number }
  | { readonly do: 'map'; readonly export: number; readonly mapping: number }
  | { readonly do: 'list'; readonly export: number; readonly list: number }
  | { readonly do: 'detach' | 'attach'; readonly export: number };

export interface Fault {
  readonly on: RouteKind;
  readonly nth: number;
  /** Null: as long as the run is under way. */
  readonly times: number | null;
  readonly action: FaultAction;
}

/** The server is killed when the nth such event of the sandbox comes, and started again. */
export interface Kill {
  readonly at: 'request' | 'call' | 'accepted' | 'processed';
  readonly nth: number;
}

/** What happens while the run is held, if it is; then somebody decides. */
export interface Held {
  readonly changes: readonly Change[];
  /** The other export runs meanwhile. */
  readonly runsOther: boolean;
  readonly decision: 'approve' | 'cancel';
}

/** What happens, and the run that follows. */
export interface Step {
  readonly changes: readonly Change[];
  readonly run: { readonly export: number; readonly force: boolean };
  /** Left out: a run that is held is approved at once. */
  readonly held?: Held | undefined;
  readonly fault?: Fault | undefined;
  readonly kill?: Kill | undefined;
  /** The key stops working as soon as the destination has accepted a batch, until the run has ended. */
  readonly cutOff?: boolean | undefined;
}

/** Steps, and whoever leaves at last, before a refresh runs all exports at the same time. */
export interface Sequence {
  readonly steps: readonly Step[];
  readonly leaves: readonly Change[];
}

export const PROFILES = 5;
export const ADDRESSES = 6;
export const SEGMENTS = 3;
export const EXPORTS = 2;
export const LISTS = 2;

/** The nth address of a sequence; `%` stands for what makes it the sequence's own. */
export const addressOf = (n: number) => `a${n}%@example.com`;

export const MAPPINGS = [
  { firstName: 'first_name', lastName: 'last_name', phone: 'phone' },
  { firstName: 'first_name', lastName: 'last_name' },
  { firstName: 'nickname', phone: 'phone' },
] as const;

/** Records that print as one would write them. */
const plain = <T extends object>(fields: { [Name in keyof T]: fc.Arbitrary<T[Name]> }) =>
  fc.record<T>(fields, { noNullPrototype: true });

const profile = fc.nat(PROFILES - 1);
const segment = fc.nat(SEGMENTS - 1);
const exported = fc.nat(EXPORTS - 1);
const address = fc.nat(ADDRESSES - 1);
const email = fc.oneof(
  { weight: 8, arbitrary: address.map(addressOf) },
  { weight: 3, arbitrary: address.map((n) => addressOf(n).toUpperCase()) },
  { weight: 1, arbitrary: fc.constantFrom('', 'no address') },
);

const join = plain({ do: fc.constant('join' as const), profile, segment });
const leave = plain({ do: fc.constant('leave' as const), profile, segment });
const state = plain({ do: fc.constant('segment' as const), segment, active: fc.boolean() });

const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 3, arbitrary: join },
  { weight: 4, arbitrary: leave },
  {
    weight: 4,
    arbitrary: plain({
      do: fc.constant('set' as const),
      profile,
      attribute: fc.constantFrom('first_name', 'last_name', 'phone', 'nickname'),
      value: fc.constantFrom('', 'One', 'Two'),
    }),
  },
  { weight: 4, arbitrary: plain({ do: fc.constant('move' as const), profile, email }) },
  {
    weight: 3,
    arbitrary: plain({
      do: fc.constant('opt out' as const),
      address,
      how: fc.constantFrom({}, { reason: 'too many' }, { campaign: '7' }),
    }),
  },
  { weight: 1, arbitrary: plain({ do: fc.constant('opt in' as const), address }) },
  {
    weight: 2,
    arbitrary: plain({
      do: fc.constant('refuse' as const),
      address,
      how: fc.constantFrom('named' as const, 'unnamed' as const, 'later' as const),
    }),
  },
  { weight: 1, arbitrary: plain({ do: fc.constant('accept all' as const) }) },
  { weight: 1, arbitrary: plain({ do: fc.constant('fill the account' as const) }) },
  { weight: 2, arbitrary: state },
  {
    weight: 1,
    arbitrary: plain({
      do: fc.constant('hold' as const),
      export: exported,
      percent: fc.constantFrom(0, 100),
    }),
  },
  {
    weight: 1,
    arbitrary: plain({
      do: fc.constant('policy' as const),
      export: exported,
      keepsLeavers: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: plain({
      do: fc.constant('map' as const),
      export: exported,
      mapping: fc.nat(MAPPINGS.length - 1),
    }),
  },
  {
    weight: 1,
    arbitrary: plain({ do: fc.constant('list' as const), export: exported, list: fc.nat(LISTS - 1) }),
  },
  {
    weight: 1,
    arbitrary: plain({ do: fc.constantFrom('detach' as const, 'attach' as const), export: exported }),
  },
);

const action: fc.Arbitrary<FaultAction> = fc.constantFrom<FaultAction>(
  { type: 'rate-limit' },
  { type: 'answer', status: 503 },
  { type: 'answer', status: 500 },
  { type: 'answer', status: 403 },
  { type: 'html', status: 502 },
  { type: 'html' },
  { type: 'redirect' },
  { type: 'reset', when: 'before' },
  { type: 'reset', when: 'after' },
  { type: 'truncate' },
  { type: 'truncate', cleanly: true },
);

/** What happens to batches; the engine gives a batch up only when it was lost more than three times. */
const batchAction: fc.Arbitrary<FaultAction> = fc.constantFrom<FaultAction>(
  { type: 'quota' },
  { type: 'batch', status: 'failed' },
  { type: 'batch', status: 'interrupted' },
  { type: 'withhold', polls: 3 },
);

/** A held run goes on to the list that it began with, and by the consent of that time: segments alone change meanwhile. */
const held: fc.Arbitrary<Held> = plain({
  changes: fc.array(fc.oneof<fc.Arbitrary<Change>[]>(join, leave, state), { maxLength: 2 }),
  runsOther: fc.boolean(),
  decision: fc.constantFrom('approve' as const, 'cancel' as const),
});

/** Mostly faults that end by themselves: the run gets through, and nothing tells from its end that they were there. */
const fault: fc.Arbitrary<Fault> = fc.oneof(
  plain({
    on: fc.constantFrom<RouteKind>('importer', 'importer', 'info', 'contacts', 'contactLists', 'lists'),
    nth: fc.integer({ min: 1, max: 2 }),
    times: fc.integer({ min: 1, max: 2 }),
    action,
  }),
  plain({
    on: fc.constant<RouteKind>('importer'),
    nth: fc.integer({ min: 1, max: 2 }),
    times: fc.integer({ min: 1, max: 2 }),
    action: batchAction,
  }),
  // The importer is out of order until every batch has used up its tries. It takes nothing, or everything.
  plain({
    on: fc.constant<RouteKind>('importer'),
    nth: fc.constant(1),
    times: fc.constant(null),
    action: fc.constantFrom<FaultAction>(
      { type: 'answer', status: 500 },
      { type: 'reset', when: 'before' },
      { type: 'reset', when: 'after' },
    ),
  }),
);

const kill: fc.Arbitrary<Kill> = plain({
  at: fc.constantFrom('request' as const, 'call' as const, 'accepted' as const, 'processed' as const),
  nth: fc.integer({ min: 1, max: 5 }),
});

/** @param trouble how many of seven runs meet with a fault, and with a kill. */
export function sequences(trouble: {
  readonly faults: number;
  readonly kills: number;
}): fc.Arbitrary<Sequence> {
  const sometimes = <T>(arbitrary: fc.Arbitrary<T>, often: number) =>
    fc.oneof({ weight: 7 - often, arbitrary: fc.constant(undefined) }, { weight: often, arbitrary });
  const step = plain({
    changes: fc.array(change, { maxLength: 3 }),
    run: plain({ export: exported, force: fc.nat(7).map((n) => n === 7) }),
    held: sometimes(held, 5),
    fault: sometimes(fault, trouble.faults),
    kill: sometimes(kill, trouble.kills),
    cutOff: fc.nat(7).map((n) => n === 7),
  });
  return plain({
    steps: fc.array(step, { minLength: 1, maxLength: 6, size: 'max' }),
    leaves: fc.array<Change>(leave, { maxLength: 3 }),
  });
}
