import type { EntityManager } from 'typeorm';
import type { SignedInActor } from '../audit/record.js';
import { Segment, SegmentKind, SegmentState } from '../entities/segment.js';
import { BadInputError, ConflictError } from '../errors.js';
import { parseName } from '../names.js';
import { adoptGeneration, type FilledGeneration } from './adopt-generation.js';
import { assertAttributesExist } from './attributes.js';
import { evaluateInto, type SegmentEvaluationServices } from './evaluate-segment.js';
import { evaluateRule, type EvaluationServices } from './evaluate.js';
import type { UnparsedValues } from './matcher.js';
import type { ProfileRow } from './profile-pages.js';
import { conditionsOf, parseRule, type Rule } from './rule.js';
import {
  auditSegment,
  createSegment,
  findSegment,
  findSegmentNamed,
  getSegment,
  nameTaken,
  newSegment,
  refusingTakenNames,
  setSegmentState,
  updateSegment,
} from './segments.js';

export interface NewSegment {
  readonly name: string;
  readonly kind: SegmentKind;
  readonly rule?: object | null;
}

/** Who would belong to a rule. */
export interface SegmentPreview {
  readonly count: number;
  /** The first by id. */
  readonly members: readonly ProfileRow[];
  readonly unparsed: readonly UnparsedValues[];
}

const PREVIEWED = 100;

/**
 * Makes a segment: a static one without members, or a dynamic one with the members that its rule finds now.
 * @throws {BadInputError} for a rule that cannot be used, or is missing; {ConflictError} when the name is taken.
 */
export async function makeSegment(
  services: SegmentEvaluationServices,
  actor: SignedInActor,
  input: NewSegment,
): Promise<Segment> {
  if (input.kind === SegmentKind.STATIC) {
    if (input.rule) throw noRuleForStatic();
    return createSegment(services, actor, input);
  }
  const name = parseName('name', input.name);
  const rule = await readRule(services, input.rule);
  const segment = newSegment(name, services.clock, input.rule);
  // Told before the evaluation where it can be, not after it.
  if ((await findSegmentNamed(services, name)) !== null) throw nameTaken(name);
  await evaluateInto(services, rule, async (manager, filled) => {
    await refusingTakenNames(name, () => manager.insert(Segment, segment));
    await adoptGeneration(manager, segment.id, filled);
    await auditSegment(services, manager, actor, 'createSegment', null, segment);
    return segment;
  });
  return getSegment(services, segment.id);
}

/**
 * Changes name and rule, where given. With the rule the members change, both at once.
 * @throws {NotFoundError}; {BadInputError} for a rule that cannot be used; {ConflictError} when the name is taken.
 */
export async function changeSegment(
  services: SegmentEvaluationServices,
  actor: SignedInActor,
  id: string,
  changes: { readonly name?: string | null; readonly rule?: object | null },
): Promise<Segment> {
  const given = changes.rule;
  if (!given) return updateSegment(services, actor, id, changes);
  if ((await getSegment(services, id)).kind === SegmentKind.STATIC) throw noRuleForStatic();
  const name =
    changes.name === undefined || changes.name === null ? undefined : parseName('name', changes.name);
  const rule = await readRule(services, given);
  await evaluateInto(services, rule, async (manager, filled) => {
    const before = await findSegment(manager, id);
    await manager.update(Segment, id, { rule: given });
    if (name !== undefined) await refusingTakenNames(name, () => manager.update(Segment, id, { name }));
    await adoptGeneration(manager, id, filled);
    await auditSegment(services, manager, actor, 'updateSegment', before, await findSegment(manager, id));
    return true;
  });
  return getSegment(services, id);
}

/**
 * Exports pass over inactive segments, and so does a refresh: a dynamic one is evaluated when it is active again.
 * @throws {NotFoundError}; {BadInputError} when it is to be active and its rule cannot be used any more.
 */
export async function switchSegment(
  services: SegmentEvaluationServices,
  actor: SignedInActor,
  id: string,
  state: SegmentState,
): Promise<Segment> {
  const { state: before, kind, rule } = await getSegment(services, id);
  const isAwakened = before === SegmentState.INACTIVE && state === SegmentState.ACTIVE;
  if (!isAwakened || kind === SegmentKind.STATIC) return setSegmentState(services, actor, id, state);
  // One whose rule cannot be used stays inactive, and its exports pass over it as before.
  await readRule(services, rule);
  await setSegmentState(services, actor, id, state);
  return evaluateSegment(services, id);
}

/** Evaluates a dynamic segment again, because somebody asks for it. @throws as `evaluateSegment`. */
export async function refreshSegment(
  services: SegmentEvaluationServices,
  actor: SignedInActor,
  id: string,
): Promise<Segment> {
  const segment = await evaluateSegment(services, id);
  await services.database.transact(({ manager }) =>
    auditSegment(services, manager, actor, 'refreshSegment', segment, segment),
  );
  return segment;
}

/**
 * Evaluates a dynamic segment again. When others do so at the same time, the one that began last counts.
 * @throws {NotFoundError}; {ConflictError} when the segment is static or inactive; {BadInputError} when its rule cannot
 *   be used any more.
 */
export async function evaluateSegment(services: SegmentEvaluationServices, id: string): Promise<Segment> {
  const segment = await getSegment(services, id);
  if (segment.kind === SegmentKind.STATIC) {
    throw new ConflictError(
      'The segment is static: its members were given.',
      'Import its members again.',
      'id',
    );
  }
  if (segment.state === SegmentState.INACTIVE) {
    throw new ConflictError(
      'The segment is inactive.',
      'Activate it (setSegmentState); that evaluates it too.',
      'id',
    );
  }
  const rule = await readRule(services, segment.rule);
  await evaluateInto(services, rule, (manager, filled) => adoptUnlessOutdated(manager, segment, filled));
  return getSegment(services, id);
}

/**
 * How many profiles a rule finds now, and the first 100 of them. Stores nothing.
 * @throws {BadInputError} for a rule that cannot be used.
 */
export async function previewSegment(services: EvaluationServices, input: object): Promise<SegmentPreview> {
  const rule = await readRule(services, input);
  const members: ProfileRow[] = [];
  const { count, unparsed } = await evaluateRule(services, rule, services.clock.now(), (matches) => {
    members.push(...matches.slice(0, PREVIEWED - members.length));
  });
  return { count, members, unparsed };
}

/** Undefined: the segment got another rule, or was evaluated by somebody who began later. */
async function adoptUnlessOutdated(
  manager: EntityManager,
  { id, rule }: Segment,
  filled: FilledGeneration,
): Promise<true | undefined> {
  const present = await findSegment(manager, id);
  const isOutdated =
    JSON.stringify(present.rule) !== JSON.stringify(rule) ||
    (present.evaluatedAt !== null && present.evaluatedAt > filled.at);
  if (isOutdated) return undefined;
  await adoptGeneration(manager, id, filled);
  return true;
}

/** @throws {BadInputError} also for attributes that do not exist, with the nearest name. */
async function readRule(
  services: Pick<EvaluationServices, 'database'>,
  input: object | null | undefined,
): Promise<Rule> {
  if (!input) {
    throw new BadInputError(
      'rule',
      'A dynamic segment needs a rule.',
      'Give a rule, or make the segment STATIC and import its members.',
    );
  }
  const rule = parseRule(input);
  for (const { attribute, field } of conditionsOf(rule)) {
    await assertAttributesExist(services, [attribute], `${field}.attribute`);
  }
  return rule;
}

function noRuleForStatic(): BadInputError {
  return new BadInputError(
    'rule',
    'A static segment has no rule: its members are given.',
    'Leave the rule out, or make a DYNAMIC segment.',
  );
}
