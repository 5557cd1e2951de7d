import type { EntityManager } from 'typeorm';
import { describeError } from '../errors.js';
import { generationLane } from '../lanes.js';
import type { Logger } from '../logger.js';
import type { FilledGeneration } from './adopt-generation.js';
import { evaluateRule, type EvaluationServices } from './evaluate.js';
import {
  addProfiles,
  beginGeneration,
  removeGeneration,
  removeSupersededGenerations,
  type GenerationServices,
} from './generations.js';
import type { Rule } from './rule.js';

export interface SegmentEvaluationServices extends EvaluationServices, GenerationServices {
  readonly logger: Logger;
}

/** Members that one transaction writes: some 50 ms. */
const BATCH = 20_000;

/**
 * Evaluates a rule into a generation that nobody sees, and lets `adopt` make it the members of a segment, in one
 * transaction: no run ever sees half a segment, and no segment ever has a rule without its members.
 * @param adopt answers undefined when it has no use for the generation any more.
 * @returns what `adopt` answers.
 */
export async function evaluateInto<T>(
  services: SegmentEvaluationServices,
  rule: Rule,
  adopt: (manager: EntityManager, filled: FilledGeneration) => Promise<T | undefined>,
): Promise<T | undefined> {
  const { database, clock, logger } = services;
  const at = new Date(clock.now());
  const generation = await beginGeneration(services);
  let adopted: T | undefined;
  try {
    const unparsedValues = await fill(services, rule, { generation, at });
    adopted = await database.transact(({ manager }) => adopt(manager, { generation, at, unparsedValues }));
  } finally {
    // Whatever became of it is decided by now. What stays behind goes after the next one, or at the next start.
    const tidyUp =
      adopted === undefined ? removeGeneration(database, generation) : removeSupersededGenerations(services);
    await tidyUp.catch((error: unknown) => {
      logger.warn({ reason: describeError(error) }, 'a generation of a segment could not be removed yet');
    });
  }
  return adopted;
}

/** @returns how many values the rule could not read. */
async function fill(
  services: SegmentEvaluationServices,
  rule: Rule,
  { generation, at }: { readonly generation: number; readonly at: Date },
): Promise<number> {
  const { database } = services;
  let waiting: string[] = [];
  let writing: Promise<void> = Promise.resolve();
  // One batch behind the reading: while one is written, the next is found.
  const startWriting = async () => {
    const ids = JSON.stringify(waiting);
    waiting = [];
    await writing;
    writing = database.transact(
      ({ manager }) => addProfiles(manager, generation, ids),
      generationLane(generation),
    );
    // A failure is met by the next `await writing`; until then it is not unhandled.
    writing.catch(() => undefined);
  };
  try {
    const { unparsed } = await evaluateRule(services, rule, at.getTime(), async (matches) => {
      for (const [id] of matches) waiting.push(id);
      if (waiting.length >= BATCH) await startWriting();
    });
    await startWriting();
    return unparsed.reduce((sum, { count }) => sum + count, 0);
  } finally {
    // Nothing is written behind the back of whoever removes the generation.
    await writing;
  }
}
