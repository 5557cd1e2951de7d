import type { Sandbox } from '../../sandbox/sandbox.js';
import { EXPORTS, keyOf, LISTS, type ExportPlan, type Person, type World } from './world.js';
import type { Violations } from './violations.js';

/** What the judge needs to know besides the sandbox and the world. */
export interface Evidence {
  /** Whether this server takes leavers off; older ones keep everybody. */
  readonly knowsLeavers: boolean;
  /** `export key` of whom the last run of an export reported as having opted out. */
  readonly reportedOptOuts: ReadonlySet<string>;
}

export interface Verdict {
  /** By export, how many of those it wants are on its list, and how many took themselves off it. */
  readonly present: ReadonlyMap<string, { readonly there: number; readonly optedOut: number }>;
  /** People who are reported as having opted out and never did: allowed where nobody can tell any more. */
  readonly reportedInDoubt: number;
}

type Contact = NonNullable<ReturnType<Sandbox['contact']>>;

const ACTIVE = 1;

/** Holds the sandbox's final state against what segments, mappings and policies want. */
export function judgeSandbox(
  sandbox: Sandbox,
  world: World,
  { knowsLeavers, reportedOptOuts }: Evidence,
  violations: Violations,
): Verdict {
  const contacts = new Map([...sandbox.contacts()].map((contact) => [keyOf(contact.email), contact]));
  const wanted = new Map(EXPORTS.map((plan) => [plan, world.wanted(plan)]));
  const present = new Map<string, { there: number; optedOut: number }>();
  let reportedInDoubt = 0;

  for (const [plan, people] of wanted) {
    let there = 0;
    for (const [key, person] of people) {
      const contact = contacts.get(key);
      const membership = contact?.lists.find(({ list }) => list === plan.listId);
      const who = `export ${plan.name} wants ${key} on list ${plan.listId}`;
      const isReported = reportedOptOuts.has(`${plan.name} ${key}`);
      if (contact !== undefined && membership?.status === ACTIVE) {
        // Whoever takes the place of another and is reported is not sent: the contact has the values of the other.
        if (isReported && world.shared.has(key)) {
          reportedInDoubt += 1;
          continue;
        }
        there += 1;
        compareValues(person, contact, who, violations);
        const former = knowsLeavers && !world.shared.has(key) ? world.barred.get(key) : undefined;
        if (former !== undefined && keyOf(person.email) === key) {
          violations.add(
            'who opted out does not come in by a new address',
            `${who}; ${former} had opted out`,
          );
        }
      } else if (isMissedRightly(world, plan, key)) continue;
      else if (isReported) reportedInDoubt += 1;
      else violations.add('everybody who is wanted is there', `${who}: ${describe(contact, plan.listId)}`);
    }
    const optedOut = [...people.keys()].filter((key) => world.optOuts.has(`${plan.listId} ${key}`)).length;
    present.set(plan.name, { there, optedOut });
  }
  for (const [key, contact] of contacts)
    judgeContact(key, contact, { world, wanted, knowsLeavers }, violations);
  return { present, reportedInDoubt };
}

/** The destination refuses apostrophes; opt-outs are never overridden, nor got round by a new address. */
function isMissedRightly(world: World, plan: ExportPlan, key: string): boolean {
  return key.includes("'") || world.optOuts.has(`${plan.listId} ${key}`) || world.barred.has(key);
}

function compareValues(person: Person, contact: Contact, who: string, violations: Violations): void {
  for (const field of ['firstName', 'lastName', 'phone'] as const) {
    if (contact[field] === person[field]) continue;
    const difference = `${field} is ${JSON.stringify(contact[field])}, not ${JSON.stringify(person[field])}`;
    violations.add('contacts have the values of the profile', `${who}: ${difference}`);
  }
}

/** Whom the sandbox holds: nobody who was never wanted, opted out, or left under UNSUBSCRIBE. */
function judgeContact(
  key: string,
  contact: Contact,
  {
    world,
    wanted,
    knowsLeavers,
  }: { world: World; wanted: Map<ExportPlan, Map<string, Person>>; knowsLeavers: boolean },
  violations: Violations,
): void {
  for (const { list, status } of contact.lists) {
    const plans = EXPORTS.filter(({ listId }) => listId === list);
    const had = plans.filter((plan) => world.wasWanted(plan, key));
    const who = `${key} on list ${list} has status ${status}`;
    if (had.length === 0) violations.add('nobody is there who was never wanted', who);
    const optedOut = world.optOuts.has(`${list} ${key}`);
    if (optedOut && status === ACTIVE) violations.add('nobody who opted out is active again', who);
    if (optedOut || plans.some((plan) => wanted.get(plan)?.has(key) === true)) continue;
    const removed = had.filter(({ leavers }) => knowsLeavers && leavers === 'UNSUBSCRIBE');
    if (removed.length === 0 && status !== ACTIVE) violations.add('leavers under KEEP stay', who);
    // Whoever was once wanted under KEEP may have been delivered by that export, and then stays.
    if (removed.length > 0 && removed.length === had.length && status === ACTIVE) {
      violations.add('leavers under UNSUBSCRIBE are off the list', who);
    }
  }
}

/** How many batches were accepted, or possibly accepted as far as a client can know from the answer. */
export function requestsWithoutProof({ log }: Sandbox): number {
  return log.filter(
    ({ kind, status }) => kind === 'importer' && !(status >= 400 && status < 500) && status !== 503,
  ).length;
}

/** What a well-behaved client leaves at nought. */
export function judgeConduct(sandbox: Sandbox, violations: Violations): void {
  const { quotaRefusals, overriddenOptOuts } = sandbox.summary().invariants;
  for (const [quota, refusals] of Object.entries(quotaRefusals)) {
    if (refusals > 0) violations.add('the pace keeps the quotas', `${quota}: refused ${refusals} times`);
  }
  if (overriddenOptOuts > 0) {
    violations.add('no opt-out is overridden', `${overriddenOptOuts} people were put on a list again`);
  }
  for (const { id } of LISTS) {
    if (sandbox.summary().lists.every((list) => list.id !== id))
      violations.add('lists stay', `${id} is gone`);
  }
}

function describe(contact: Contact | undefined, listId: number): string {
  if (contact === undefined) return 'there is no such contact';
  const membership = contact.lists.find(({ list }) => list === listId);
  if (membership === undefined) return 'the contact is not on it';
  return `status ${membership.status}${membership.ownChoice ? ', by own choice' : ''}, imported ${contact.imports} times`;
}
