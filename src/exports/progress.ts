import { Field, Float, Int, ObjectType } from 'type-graphql';
import { ExportRunPhase, type ExportRun } from '../entities/export-run.js';
import { isFinal } from './run-states.js';

@ObjectType({
  description:
    'How far a run is. members = skipped + unchanged + (toSend - leavers); in a final state toSend = confirmed + rejected + unconfirmed + notSent.',
})
export class ExportRunProgress {
  @Field(() => Int, { description: 'Grows with every published change.' })
  sequence!: number;

  @Field(() => Float, {
    nullable: true,
    description:
      'People whose outcome is known, of those to be sent, 0 to 100; null while the total is not known.',
  })
  percent!: number | null;

  @Field(() => Float, {
    nullable: true,
    description:
      'People whose outcome became known, for each minute so far; null while nobody is, and for a run that was ever ' +
      'held: nobody was sent in those days.',
  })
  ratePerMinute!: number | null;

  @Field(() => Int, {
    nullable: true,
    description: 'Seconds until the end, at the rate so far; null without a rate, and in a final state.',
  })
  etaSeconds!: number | null;

  @Field(() => Int, {
    nullable: true,
    description: 'Profiles in the union of the segments; null: not known (yet).',
  })
  members!: number | null;

  @Field(() => Int, { description: 'Profiles with a missing, invalid or duplicate address. Never sent.' })
  skipped!: number;

  @Field(() => Int, {
    description: 'Already at the destination as they should be. No request is made for them.',
  })
  unchanged!: number;

  @Field(() => Int, {
    description:
      'Contacts that an earlier run delivered and that are no members now, to be taken off the list. 0 under KEEP.',
  })
  leavers!: number;

  @Field(() => Int, {
    description: 'People to be sent: new, changed since they were delivered, or leaving.',
  })
  toSend!: number;

  @Field(() => Int, { description: 'Queued by the destination; that alone is no success.' })
  accepted!: number;

  @Field(() => Int, { description: 'The destination says that it is done.' })
  confirmed!: number;

  @Field(() => Int, { description: 'The destination refused.' })
  rejected!: number;

  @Field(() => Int, { description: 'Accepted or possibly accepted by the destination, outcome not known.' })
  unconfirmed!: number;

  @Field(() => Int, { description: 'Planned, but the run ended before it was sent.' })
  notSent!: number;
}

const MINUTE_MS = 60_000;

/** The progress of a run as it stands. @param now in ms since 1970. */
export function progressOf(run: ExportRun, now: number): ExportRunProgress {
  const {
    sequence,
    members,
    skipped,
    unchanged,
    leavers,
    toSend,
    accepted,
    confirmed,
    rejected,
    unconfirmed,
    notSent,
  } = run;
  const decided = confirmed + rejected + unconfirmed;
  const minutes =
    run.startedAt === null ? 0 : ((run.finishedAt?.getTime() ?? now) - run.startedAt.getTime()) / MINUTE_MS;
  const ratePerMinute = decided > 0 && minutes > 0 && run.heldAt === null ? decided / minutes : null;
  const left = toSend - decided;
  return {
    sequence,
    percent: percentOf(run, decided),
    ratePerMinute,
    etaSeconds: isFinal(run.state) || ratePerMinute === null ? null : Math.ceil((left / ratePerMinute) * 60),
    members,
    skipped,
    unchanged,
    leavers,
    toSend,
    accepted,
    confirmed,
    rejected,
    unconfirmed,
    notSent,
  };
}

function percentOf(run: ExportRun, decided: number): number | null {
  const totalIsKnown = run.phase !== ExportRunPhase.PREPARING && run.members !== null;
  if (!totalIsKnown) return null;
  return run.toSend === 0 ? 100 : (decided / run.toSend) * 100;
}
