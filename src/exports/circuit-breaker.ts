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
 * OPEN: nothing with people is sent. When the pause is over, one run asks a harmless question. If it is not answered, it
 * is asked again, after pauses of its own that double up to a minute. If it is answered: HALF_OPEN.
 *
 * HALF_OPEN: one batch may be sent, the test. If it is accepted, or refused because of its contacts: CLOSED; after losses,
 * once it is completed. If it fails without proof: OPEN, with twice the pause, up to 32 minutes. If it surely was not taken
 * (429, 503, no connection), that proves nothing about the importer, and the question is asked again.
 *
 * Refusals with proof are not counted anywhere: they use up no tries, and the pace and the pauses of the batch see to them.
 *
 * The breaker lives as long as the worker of the account. The tries are stored with the batches. A worker that finds some
 * begins with one batch at a time, one failure before OPEN, and with the pause that these tries stand for.
 */

/** Failures without proof, in a row, that open the breaker. */
const THRESHOLD = 3;

/** The pause doubles so often at most: from a minute to 32 minutes. */
const MAX_DOUBLINGS = 5;

/** The pause between questions doubles up to this many times the first: from a second to a minute. */
const MAX_QUESTION_PAUSE = 60;

export type BreakerState = 'CLOSED' | 'OPEN' | 'HALF_OPEN';

/** How a try to send a batch ended. ANSWERED: it was refused because of its contacts. NOT_TAKEN: with proof. */
export type TryOutcome = 'ACCEPTED' | 'ANSWERED' | 'UNPROVEN' | 'NOT_TAKEN';

/** What may be sent now. ONE: one batch, preferably one that has tries to spare. */
export type Admission = 'ANY' | 'ONE' | 'NONE';

export interface CircuitBreaker {
  readonly admits: () => Admission;
  /**
   * To be called right before the intent of a batch is committed.
   * @returns what is to be told how the try ended, once; later calls are ignored. Undefined: the batch must wait.
   */
  readonly begin: () => ((outcome: TryOutcome) => void) | undefined;
  /** What became of an accepted batch. UNKNOWN: nobody will learn it in this run. */
  readonly followedUp: (outcome: 'COMPLETED' | 'LOST' | 'UNKNOWN') => void;
  /** Whether it is OPEN or HALF_OPEN. */
  readonly isOpen: () => boolean;
  /** When the harmless question is due, by the monotonic clock; undefined: it is not, or somebody asks it. */
  readonly questionDueAt: () => number | undefined;
  /** @returns what is to be told whether the destination answered. Undefined: the question is not due. */
  readonly claimQuestion: () => ((isAnswered: boolean) => void) | undefined;
}

/** Tries that an earlier worker of the account used up in runs that are not at an end. */
export interface EarlierTries {
  /** How many batches have used up any. */
  readonly batches: number;
  /** How many they have used up together. */
  readonly tries: number;
}

/** @param changed is called whenever more or less may be sent than before, with the state that it has and had. */
export function createCircuitBreaker(
  clock: Clock,
  { testIntervalMs, retryIntervalMs }: Pick<DestinationLimits, 'testIntervalMs' | 'retryIntervalMs'>,
  earlier: EarlierTries,
  changed: (state: BreakerState, before: BreakerState) => void,
): CircuitBreaker {
  let state: BreakerState = 'CLOSED';
  /** Tries without an answer since a batch was accepted or refused; losses since a batch was completed. */
  let unanswered = earlier.batches > 0 ? THRESHOLD - 1 : 0;
  let lost = 0;
  let underWay = 0;
  /** Failed tests, by which the pause doubles. What was sent again before was a test, or as good as one. */
  let failedTests = earlier.tries - earlier.batches;
  let failedQuestions = 0;
  /** When the question is due, while OPEN; undefined: somebody asks it. */
  let questionAt: number | undefined;
  /** The test was accepted, and whether it is completed will be known later. */
  let awaitsOutcome = false;

  const become = (next: BreakerState) => {
    const before = state;
    state = next;
    changed(next, before);
  };

  const open = (pauseMs: number) => {
    questionAt = clock.monotonic() + pauseMs;
    awaitsOutcome = false;
    become('OPEN');
  };

  const openAfterFailure = () => {
    failedQuestions = 0;
    open(testIntervalMs * 2 ** Math.min(failedTests, MAX_DOUBLINGS));
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

  const admits = (): Admission => {
    if (state === 'OPEN') return 'NONE';
    if (state === 'CLOSED' && unanswered + lost === 0) return 'ANY';
    return underWay > 0 || awaitsOutcome ? 'NONE' : 'ONE';
  };

  return {
    admits,

    begin: () => {
      if (admits() === 'NONE') return undefined;
      const isTest = state === 'HALF_OPEN';
      underWay += 1;
      let isOver = false;
      return (outcome) => {
        if (isOver) return;
        isOver = true;
        underWay -= 1;
        ended(outcome, isTest);
        // Whoever waited for this one may go now.
        if (admits() === 'ONE') changed(state, state);
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

    claimQuestion: () => {
      if (state !== 'OPEN' || questionAt === undefined || questionAt > clock.monotonic()) return undefined;
      questionAt = undefined;
      let isOver = false;
      return (isAnswered) => {
        // Meanwhile a batch that was under way when it opened may have been accepted.
        if (isOver || state !== 'OPEN') return;
        isOver = true;
        if (isAnswered) become('HALF_OPEN');
        else askAgain();
      };
    },
  };
}
