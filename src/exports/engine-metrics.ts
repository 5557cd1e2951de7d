import { Counter, Gauge, Summary, type Registry } from 'prom-client';
import type { Clock } from '../clock.js';
import { BatchState } from '../entities/batch.js';
import { ExportRunState } from '../entities/export-run.js';
import type { RequestKind } from './pace.js';
import { isFinal, type Counter as RunCounter } from './run-states.js';

/** Counts what the engine of this process does. Call it once the transaction that did it is durable. */
export interface EngineMetrics {
  readonly runEnded: (state: ExportRunState) => void;
  readonly batchesBecame: (state: BatchState, batches?: number) => void;
  /** Of what was added to the counters of a run, it counts what became of people. */
  readonly decided: (added: Partial<Record<RunCounter | 'notSent', number>>) => void;
  /** This process works the account from now on. */
  readonly openAccount: (account: string, figures: AccountFigures) => AccountMetrics;
}

/** What is read of an account whenever somebody asks for the figures. */
export interface AccountFigures {
  /** The part of the full pace that it is called at. */
  readonly paceShare: () => number;
  /** Whether its circuit breaker lets no batch through but tests. */
  readonly isBreakerOpen: () => boolean;
}

/** Counts what is done at one account. */
export interface AccountMetrics {
  /** A request begins that has waited for its turn. */
  readonly begun: (kind: RequestKind, waitedMs: number) => void;
  /** This process works the account no more. */
  readonly close: () => void;
}

/** What can become of a person, by the counter of the run. Nobody has two of them in one run. */
const OUTCOMES = {
  skipped: 'skipped',
  unchanged: 'unchanged',
  confirmed: 'confirmed',
  rejected: 'rejected',
  unconfirmed: 'unconfirmed',
  notSent: 'not_sent',
} as const;

/** The states that a batch is moved to by what the destination says; SENDING is counted as a call of `send`. */
const BATCH_STATES = Object.values(BatchState).filter((state) => state !== BatchState.SENDING);
const REQUEST_KINDS = ['BATCH', 'SINGLE', 'CALL'] as const satisfies RequestKind[];

/**
 * How long the series of an account stay after its work is done: long enough to be scraped a few times, or nobody
 * would ever see a short run; and no longer, or a process that has met 10,000 accounts would tell of them for ever.
 */
const KEPT_MS = 5 * 60_000;

export function createEngineMetrics(registry: Registry, clock: Clock): EngineMetrics {
  const registers = [registry];
  const runsEnded = new Counter({
    name: 'sluice_runs_ended_total',
    help: 'Runs that reached a final state in this process. FAILED or SKIPPED rising: look at `problem` of the runs (exportRuns).',
    labelNames: ['state'],
    registers,
  });
  const batches = new Counter({
    name: 'sluice_batches_total',
    help: 'How often a batch came into a state in this process. PLANNED rising beside ACCEPTED: the destination refuses or loses batches, which are sent again; look for "batch delayed" and "batch lost" in the log. UNCONFIRMED: it never said what became of them.',
    labelNames: ['state'],
    registers,
  });
  const contacts = new Counter({
    name: 'sluice_contacts_total',
    help: 'What became of people in runs of this process; of a preparation that is repeated, skipped and unchanged count again. rejected or not_sent rising: look at the rejections and the problem of the runs.',
    labelNames: ['outcome'],
    registers,
  });
  for (const state of Object.values(ExportRunState).filter(isFinal)) runsEnded.inc({ state }, 0);
  for (const state of BATCH_STATES) batches.inc({ state }, 0);
  for (const outcome of Object.values(OUTCOMES)) contacts.inc({ outcome }, 0);
  return {
    runEnded: (state) => {
      runsEnded.inc({ state });
    },
    batchesBecame: (state, count = 1) => {
      batches.inc({ state }, count);
    },
    decided: (added) => {
      for (const [counter, outcome] of Object.entries(OUTCOMES)) {
        contacts.inc({ outcome }, added[counter as keyof typeof OUTCOMES] ?? 0);
      }
    },
    openAccount: createAccountMetrics(registry, clock),
  };
}

function createAccountMetrics(registry: Registry, clock: Clock): EngineMetrics['openAccount'] {
  const registers = [registry];
  /** Accounts that are told of; `closedAt` is undefined while they are worked. */
  const known = new Map<string, AccountFigures & { closedAt: number | undefined }>();
  const requests = new Counter({
    name: 'sluice_account_requests_total',
    help: 'Requests that this process began at a destination account: a batch, a batch of one (single), or another call. Its rate is the pace. No batches while runs wait: look at the waits and the pace share of the account.',
    labelNames: ['account', 'kind'],
    registers,
    // The first of the three that is read: the others tell of the same accounts.
    collect: () => {
      forgetClosed();
    },
  });
  const waits = new Summary({
    name: 'sluice_account_wait_seconds',
    help: 'From the wish for a request to its begin: the quota of the account, and its more urgent runs. Long waits are normal in large runs; in small ones they mean that the account has more to do than its quota allows.',
    labelNames: ['account'],
    percentiles: [],
    registers,
  });
  const share = new Gauge({
    name: 'sluice_account_pace_ratio',
    help: 'The part of the full pace that an account is called at. Below 1 the destination has refused calls although the quota was kept: others use the account too. It rises again by itself.',
    labelNames: ['account'],
    registers,
    collect: () => {
      for (const [account, { paceShare }] of known) share.set({ account }, paceShare());
    },
  });
  const breaker = new Gauge({
    name: 'sluice_account_breaker_open',
    help: '1 while the circuit breaker of an account is open: batches failed in a row, nobody knows whether they were taken, and nothing is sent but a test now and then. It closes by itself when a test succeeds; for long: the destination is out of order.',
    labelNames: ['account'],
    registers,
    collect: () => {
      for (const [account, { isBreakerOpen, closedAt }] of known) {
        breaker.set({ account }, closedAt === undefined && isBreakerOpen() ? 1 : 0);
      }
    },
  });

  const forgetClosed = () => {
    const before = clock.monotonic() - KEPT_MS;
    for (const [account, { closedAt }] of known) {
      if (closedAt === undefined || closedAt > before) continue;
      known.delete(account);
      for (const kind of REQUEST_KINDS) requests.remove({ account, kind: kind.toLowerCase() });
      waits.remove({ account });
      share.remove({ account });
      breaker.remove({ account });
    }
  };

  return (account, figures) => {
    // Here too: nobody may ever ask for the figures.
    forgetClosed();
    const entry = { ...figures, closedAt: undefined as number | undefined };
    known.set(account, entry);
    return {
      begun: (kind, waitedMs) => {
        requests.inc({ account, kind: kind.toLowerCase() });
        waits.observe({ account }, waitedMs / 1_000);
      },
      close: () => {
        entry.closedAt = clock.monotonic();
      },
    };
  };
}
