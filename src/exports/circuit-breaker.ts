import type { Clock } from '../clock.js';
import type { DestinationLimits } from '../destinations/destination.js';

/*
 * The circuit breaker of an account, shared by all its runs. A destination that is out of order must not leave more and more
 * people in doubt: each batch without proof that it was not taken uses up one of its three tries (unproven-tries.ts).
 *
 * CLOSED: batches are sent as the pace allows. Failures without proof are counted over all batches of the account: tries
 * without an answer, and batches that were accepted and then lost. After the first one, one batch at a time is under way
 * until the count is back at 0: an accepted batch takes back the tries without an answer, a completed one the losses. After
 * the third: OPEN.
 *
 * OPEN: nothing with people is sent. When the pause is over, one run that has a batch to test with asks a harmless question.
 * If it is not answered, it is asked again, after pauses of its own that double up to a minute. If it is answered: HALF_OPEN.
 *
 * HALF_OPEN: the run that asked may send one batch, the test. If it is accepted, or refused because of its contacts: CLOSED;
 * after losses, once it is completed. If it fails without proof: OPEN, with twice the pause, up to 32 minutes. If it surely
 * was not taken (429, 503, no connection), that proves nothing about the importer, and the question is asked again.
 *
 * Refusals with proof are not counted anywhere: they use up no tries, and the pace and the pauses of the batch see to them.
 *
 * Where one batch at a time may be sent, one run has the place. It takes it before its batch waits for a turn: the batches
 * of the others use up no turns.
 *
 * The breaker lives as long as the worker of the account. The tries are stored with the batches (present-outage.ts). A worker
 * that finds three failures since the last proof begins OPEN, with what is left of the pause that these tries stand for. One
 * that finds fewer begins with one batch at a time, one failure before OPEN.
 */

/** Failures without proof, in a row, that open the breaker. */
const THRESHOLD = 3;

/** The pause doubles so often at most: from a minute to 32 minutes. */
const MAX_DOUBLINGS = 5;

/** An outage without a try for so many intervals counts as a new one: its first pauses are short again. */
const FORGOTTEN = 60;

/** The pause between questions doubles up to this many times the first: from a second to a minute. */
const MAX_QUESTION_PAUSE = 60;

export type BreakerState = 'CLOSED' | 'OPEN' | 'HALF_OPEN';

/** How a try to send a batch ended. ANSWERED: it was refused because of its contacts. NOT_TAKEN: with proof. */
export type TryOutcome = 'ACCEPTED' | 'ANSWERED' | 'UNPROVEN' | 'NOT_TAKEN';

/** What may be sent now. ONE: one batch, preferably one that has tries to spare. */
export type Admission = 'ANY' | 'ONE' | 'NONE';

/** Who wants to send: always the same object for one run. */
export type Sender = object;

export interface CircuitBreaker {
  readonly admits: (sender: Sender) => Admission;
  /** Takes the place of the one batch, if only one may be sent. @returns whether the sender may send a batch. */
  readonly takePlace: (sender: Sender) => boolean;
  /** The sender has no batch for the place, if it has the place: somebody else may take it. */
  readonly leavePlace: (sender: Sender) => void;
  /**
   * To be called right before the intent of a batch is committed.
   * @returns what is to be told how the try ended, once; later calls are ignored. Undefined: the batch must wait.
   */
  readonly begin: (sender: Sender) => ((outcome: TryOutcome) => void) | undefined;
  /** What became of an accepted batch. UNKNOWN: nobody will learn it in this run. */
  readonly followedUp: (outcome: 'COMPLETED' | 'LOST' | 'UNKNOWN') => void;
  /** Whether it is OPEN or HALF_OPEN. */
  readonly isOpen: () => boolean;
  /** When the harmless question is due, by the monotonic clock; undefined: it is not, or somebody asks it. */
  readonly questionDueAt: () => number | undefined;
  /** Whether the question is due, and nobody asks it. */
  readonly isQuestionDue: () => boolean;
  /**
   * To be called by a sender that has a batch to test with: it gets the place.
   * @returns what is to be told whether the destination answered. Undefined: the question is not due.
   */
  readonly claimQuestion: (sender: Sender) => ((isAnswered: boolean) => void) | undefined;
}

/** Tries that earlier workers of the account used up since the last proof. */
export interface EarlierTries {
  /** How many batches have used up any. */
  readonly batches: number;
  /** How many they have used up together. */
  readonly tries: number;
  /** The tries that are known to have failed. The process may have died during the others. */
  readonly failures: number;
  /** The failures that were losses. */
  readonly losses: number;
  /** How long ago the last try began. */
  readonly sinceMs: number;
}

/** @param changed is called whenever more or less may be sent than before, with the state that it has and had. */
export function createCircuitBreaker(
  clock: Clock,
  { testIntervalMs, retryIntervalMs }: Pick<DestinationLimits, 'testIntervalMs' | 'retryIntervalMs'>,
  earlier: EarlierTries,
  changed: (state: BreakerState, before: BreakerState) => void,
): CircuitBreaker {
  const isOutage = earlier.failures >= THRESHOLD;
  let state: BreakerState = isOutage ? 'OPEN' : 'CLOSED';
  /** Tries without an answer since a batch was accepted or refused; losses since a batch was completed. */
  let unanswered = isOutage ? earlier.failures - earlier.losses : earlier.batches > 0 ? THRESHOLD - 1 : 0;
  let lost = isOutage ? earlier.losses : 0;
  let underWay = 0;
  /** Failed tests, by which the pause doubles. What was sent again when the breaker was open was a test. */
  let failedTests = 0;
  if (earlier.sinceMs < FORGOTTEN * testIntervalMs)
    failedTests = Math.max(0, Math.min(earlier.tries - earlier.batches, earlier.tries - THRESHOLD));
  let failedQuestions = 0;
  const pauseMs = () => testIntervalMs * 2 ** Math.min(failedTests, MAX_DOUBLINGS);
  /** When the question is due, while OPEN; undefined: somebody asks it. */
  let questionAt: number | undefined = clock.monotonic() + Math.max(0, pauseMs() - earlier.sinceMs);
  /** Who has the place of the one batch. */
  let placed: Sender | undefined;
  /** The test was accepted, and whether it is completed will be known later. */
  let awaitsOutcome = false;

  const become = (next: BreakerState) => {
    const before = state;
    state = next;
    changed(next, before);
  };

  const open = (inMs: number) => {
    questionAt = clock.monotonic() + inMs;
    awaitsOutcome = false;
    placed = undefined;
    become('OPEN');
  };

  const openAfterFailure = () => {
    failedQuestions = 0;
    open(pauseMs());
  };

  const askAgain = () => {
    open(retryIntervalMs * Math.min(2 ** failedQuestions, MAX_QUESTION_PAUSE));
    failedQuestions += 1;
  };

  /** A failure without proof. @param isOfTest whether the test ended with it. */
  const fail = (isOfTest: boolean) => {
    if (state === 'CLOSED' && unanswered + lost >= THRESHOLD) openAfterFailure();
    // What was under way when it opened, and fails as well, tells nothing new.
    if (!isOfTest) return;
    failedTests += 1;
    openAfterFailure();
  };

  const closeIfSound = () => {
    if (unanswered + lost > 0) return;
    failedTests = 0;
    failedQuestions = 0;
    awaitsOutcome = false;
    placed = undefined;
    become('CLOSED');
  };

  const ended = (outcome: TryOutcome, isTest: boolean) => {
    const isStillTest = isTest && state === 'HALF_OPEN';
    switch (outcome) {
      case 'ACCEPTED':
      case 'ANSWERED':
        if (unanswered === 0 && !isStillTest) return;
        unanswered = 0;
        awaitsOutcome = isStillTest && lost > 0 && outcome === 'ACCEPTED';
        closeIfSound();
        return;
      case 'UNPROVEN':
        unanswered += 1;
        fail(isStillTest);
        return;
      case 'NOT_TAKEN':
        if (isStillTest) askAgain();
    }
  };

  const admits = (sender: Sender): Admission => {
    if (state === 'OPEN') return 'NONE';
    if (state === 'CLOSED' && unanswered + lost === 0) return 'ANY';
    const isTaken = placed !== undefined && placed !== sender;
    return underWay > 0 || awaitsOutcome || isTaken ? 'NONE' : 'ONE';
  };

  const isQuestionDue = () => state === 'OPEN' && questionAt !== undefined && questionAt <= clock.monotonic();

  const takePlace = (sender: Sender) => {
    const admission = admits(sender);
    if (admission === 'ONE') placed = sender;
    return admission !== 'NONE';
  };

  return {
    admits,
    takePlace,

    leavePlace: (sender) => {
      if (placed !== sender || underWay > 0) return;
      if (state === 'HALF_OPEN') {
        askAgain();
        return;
      }
      placed = undefined;
      changed(state, state);
    },

    begin: (sender) => {
      if (!takePlace(sender)) return undefined;
      const isTest = state === 'HALF_OPEN';
      underWay += 1;
      let isOver = false;
      return (outcome) => {
        if (isOver) return;
        isOver = true;
        underWay -= 1;
        ended(outcome, isTest);
        if (underWay > 0) return;
        // Whoever waited for this one may go now.
        placed = undefined;
        if (state === 'HALF_OPEN' || unanswered + lost > 0) changed(state, state);
      };
    },

    followedUp: (outcome) => {
      const isOfTest = awaitsOutcome && state === 'HALF_OPEN';
      if (outcome === 'LOST') {
        lost += 1;
        fail(isOfTest);
      } else if (outcome === 'COMPLETED' && lost > 0) {
        lost = 0;
        closeIfSound();
      }
      if (awaitsOutcome) {
        awaitsOutcome = false;
        changed(state, state);
      }
    },

    isOpen: () => state !== 'CLOSED',

    questionDueAt: () => (state === 'OPEN' ? questionAt : undefined),

    isQuestionDue,

    claimQuestion: (sender) => {
      if (!isQuestionDue()) return undefined;
      questionAt = undefined;
      let isOver = false;
      return (isAnswered) => {
        // Meanwhile a batch that was under way when it opened may have been accepted.
        if (isOver || state !== 'OPEN') return;
        isOver = true;
        if (!isAnswered) {
          askAgain();
          return;
        }
        placed = sender;
        become('HALF_OPEN');
      };
    },
  };
}
