import type { Clock } from '../clock.js';
import type { WorkedAccounts } from '../connections/account-turns.js';
import type { Database } from '../database.js';
import type { Destination, DestinationLimits } from '../destinations/destination.js';
import type { Destinations } from '../destinations/registry.js';
import type { ExportRun } from '../entities/export-run.js';
import type { Problem } from '../entities/problem.js';
import type { Logger } from '../logger.js';
import type { HashPerson } from '../security/person-hash.js';
import type { SecretBox } from '../security/secret-box.js';
import type { AddressHolds } from './address-holds.js';
import type { Bell } from '../bell.js';
import type { CircuitBreaker } from './circuit-breaker.js';
import type { Decide } from './decisions.js';
import type { EngineMetrics } from './engine-metrics.js';
import type { Tenant } from './fence.js';
import type { Pace } from './pace.js';
import type { PreparingPlaces } from './preparing-places.js';
import type { ProgressHub } from './progress-hub.js';
import type { Turnstile } from '../turnstile.js';
import type { PunctualQuestions } from './punctual-questions.js';
import type { Turns } from './turns.js';

/** What the engine needs from the rest of the server; within a run, every line of the logger carries its `runId`. */
export interface EngineServices {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly secretBox: SecretBox;
  /** Undefined: the hash key cannot be opened. */
  readonly hashPerson: HashPerson | undefined;
  readonly destinations: Destinations;
  readonly hub: ProgressHub;
  readonly metrics: EngineMetrics;
  /** Where runs wait for their preparation. */
  readonly preparingPlaces: PreparingPlaces;
  /** Rung whenever a run is held. */
  readonly heldBell: Bell;
  /** The pump of an account lets callers take part in its turns. */
  readonly workedAccounts: WorkedAccounts;
  /** Where large work may spill over: on a disk, readable by nobody else. */
  readonly scratchDirectory: string;
  /** How long one attempt of a run may take. */
  readonly runDeadlineMs: number;
}

/** One run in the hands of one worker. */
export interface RunContext {
  readonly services: EngineServices & Tenant;
  /** As this worker last wrote it; counters are added up here too. */
  readonly run: ExportRun;
  readonly destination: Destination;
  readonly limits: DestinationLimits;
  readonly pace: Pace;
  readonly turns: Turns;
  /** The account's: whether batches may be sent, after failures. */
  readonly breaker: CircuitBreaker;
  /** The account's: runs to the same list are compared with their ledgers one after the other. */
  readonly comparing: Turnstile;
  /** How urgent its requests are: the less is left to do, the sooner. 200 people never wait behind a million. */
  readonly urgency: () => number;
  /** Its questions about removals, which may not wait long. */
  readonly punctual: PunctualQuestions;
  /** Where the batches of the run are decided. */
  readonly decide: Decide;
  /** The destination's clock as its last answer showed it, in ms since 1970; undefined: it has not answered yet. */
  readonly clockThere: () => number | undefined;
  /** Whether another run of the account is under way to the same list. */
  readonly hasCompany: () => boolean;
  /** That of the account's runs to this list: rung whenever a batch of one of them is decided, and whenever sending ends. */
  readonly bell: Bell;
  /** Which of its contacts wait for batches of other runs. */
  readonly holds: AddressHolds;
  /** To be called when the run does not prepare any more: the next one may. */
  readonly prepared: () => void;
  /** Aborts when nothing more may be sent: cancelled, a problem, the deadline, a shutdown. */
  readonly sending: AbortController;
  /** Aborts when nothing at all may be asked any more: the deadline or a shutdown. */
  readonly asking: AbortController;
  /** Why the run cannot go on, once that is known. */
  problem: Problem | null;
  /** What the destination did the last time that it gave no answer. */
  trouble: Problem | null;
}

/** The process is stopping: the run stays as it is and goes on after the next start. */
export class ShutdownError extends Error {
  constructor() {
    super('The server is stopping.');
    this.name = 'ShutdownError';
  }
}

/** Nothing more is sent; what was accepted is still followed up, unless the deadline has passed. */
export class SendingEndedError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'SendingEndedError';
  }
}

/** An error that nobody foresaw; the log has it. */
export const BROKEN: Problem = {
  code: 'INTERNAL_SERVER_ERROR',
  message: 'Something went wrong inside Sluice while the run was under way.',
  remedy: 'Run the export again; if it happens again, look for the run in the log of the server.',
};

/** Ends the sending because of a problem that a person must solve; the first one counts. */
export function endSending(context: RunContext, problem: Problem): void {
  context.problem ??= problem;
  context.sending.abort(new SendingEndedError(problem.message));
  context.bell.ring();
}

/** Ends the sending because somebody cancelled the run. */
export function cancelSending(context: RunContext): void {
  context.sending.abort(new SendingEndedError('The run was cancelled.'));
  context.bell.ring();
}

/** Ends everything, without a trace: the next worker finds the run as it is. */
export function shutDown(context: RunContext): void {
  const reason = new ShutdownError();
  context.sending.abort(reason);
  context.asking.abort(reason);
  context.bell.ring();
}
