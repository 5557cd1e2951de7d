import type { Sandbox, SandboxOptions } from '../../sandbox/sandbox.js';
import type { Call } from '../../sandbox/journal.js';
import type { Clock } from '../../src/clock.js';
import {
  connectedConnection,
  createExportOf,
  runEnd,
  segmentNamed,
  startRun,
  type ExportWishes,
  type FinishedRun,
} from './flows.js';
import { startTestSandbox } from './sandbox.js';
import { startSluice, type Sluice, type SluiceOptions } from './sluice.js';

/** A destination, a server and a connection between them: what every run needs. */
export interface Engine extends AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly sluice: Sluice;
  readonly connectionId: string;
}

/** @example await using engine = await startEngine(); */
export async function startEngine(
  options: { sandbox?: SandboxOptions; sluice?: SluiceOptions } = {},
): Promise<Engine> {
  const sandbox = await startTestSandbox(options.sandbox);
  const sluice = await startSluice({ sandbox, ...options.sluice });
  const connectionId = await connectedConnection(sluice, sandbox);
  return {
    sandbox,
    sluice,
    connectionId,
    [Symbol.asyncDispose]: async () => {
      await sluice.stop();
      await sandbox[Symbol.asyncDispose]();
    },
  };
}

/** Time of a test that runs fast, and that the test can also move at once. */
export interface FastTime extends SluiceOptions {
  readonly clock: Clock;
  readonly env: Readonly<Record<string, string>>;
  /** Lets so much time pass at once. */
  readonly pass: (ms: number) => void;
}

/** How often it is looked who is to be woken, and as how long real time counts at most that passed between two looks. */
const STEP_MS = 1;
const LONGEST_STEP_MS = 5;

/**
 * Time that runs `factor` times as fast as the machine's: minutes of waiting pass in the blink of an eye. With it the
 * server is told that the sandbox's time is ordinary, so that pauses and back-offs are the real ones.
 *
 * It runs in steps of the event loop: while the process gets no processor, or is busy with something else, no minutes
 * pass. So the server makes as many calls within an hour of this time on a slow machine as on a quick one.
 */
export function fastTime(factor: number): FastTime {
  const startedAt = Date.now();
  const sleepers = new Set<{ readonly wakeAt: number; readonly wake: () => void }>();
  let passedMs = 0;
  let readAt = performance.now();
  let timer: NodeJS.Timeout | undefined;

  const monotonic = () => {
    const realMs = performance.now();
    passedMs += Math.min(realMs - readAt, LONGEST_STEP_MS) * factor;
    readAt = realMs;
    return passedMs;
  };

  const wakeDue = () => {
    timer = undefined;
    const now = monotonic();
    const due = [...sleepers].filter(({ wakeAt }) => wakeAt <= now).sort((a, b) => a.wakeAt - b.wakeAt);
    for (const { wake } of due) wake();
    if (sleepers.size > 0) waitForNext();
  };

  const waitForNext = () => {
    timer ??= setTimeout(wakeDue, STEP_MS);
  };

  const clock: Clock = {
    now: () => Math.floor(startedAt + monotonic()),
    monotonic,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const end = (how: () => void) => () => {
          sleepers.delete(sleeper);
          signal?.removeEventListener('abort', giveUp);
          how();
        };
        const giveUp = () => end(() => reject(signal?.reason as Error))();
        const sleeper = { wakeAt: monotonic() + ms, wake: end(resolve) };
        sleepers.add(sleeper);
        if (signal?.aborted) giveUp();
        else signal?.addEventListener('abort', giveUp, { once: true });
        waitForNext();
      }),
  };
  // Not every run is about its deadline.
  const env = { SLUICE_SANDBOX_TIME_SCALE: '1', SLUICE_RUN_DEADLINE_MINUTES: '1440' };
  return {
    clock,
    env,
    pass: (ms) => {
      passedMs += ms;
      wakeDue();
    },
  };
}

/**
 * A destination's time that stands still until it is let go: until then it decides nothing that it accepts.
 * @example const time = stoppedTime(); … startEngine({ sandbox: time.sandbox }); … time.letGo();
 */
export function stoppedTime() {
  const startMs = Date.now();
  // Since the process began it may be a quarter of an hour, which is longer than dates go at this pace.
  const zero = performance.now();
  let stopped = true;
  return {
    sandbox: {
      quotas: false,
      now: () => (stopped ? startMs : startMs + (performance.now() - zero) * 100_000),
    } satisfies SandboxOptions,
    letGo: () => {
      stopped = false;
    },
  };
}

/**
 * A pace at which nobody sends everything at once: a batch every 30 ms, so that something can happen between two of them.
 * @example startEngine({ sandbox: …, sluice: UNHURRIED })
 */
export const UNHURRIED: SluiceOptions = { env: { SLUICE_SANDBOX_TIME_SCALE: '20' } };

/** The e-mail address of the nth person that `people` makes. */
export const emailOf = (n: number) => `p${String(n).padStart(6, '0')}@example.com`;

/** A CSV of so many people, one like the other. */
export function people(count: number, first = 1): string {
  const rows = Array.from({ length: count }, (_, index) => {
    const n = first + index;
    return `${n},${emailOf(n)},First ${n},Last ${n},555-${n}`;
  });
  return ['id,email,first_name,last_name,phone', ...rows, ''].join('\n');
}

/** Imports a CSV as the segment `All` and makes an export of it. Answers the export's id. */
export async function exportOf(
  { sluice, connectionId }: Pick<Engine, 'sluice' | 'connectionId'>,
  csv: string,
  wishes: Partial<ExportWishes> = {},
): Promise<string> {
  await sluice.importCsv(csv, { segment: 'All' });
  return createExportOf(sluice, { connectionId, segmentIds: [await segmentNamed(sluice, 'All')], ...wishes });
}

/** Watches a run to its end, and makes sure that everybody was counted once. */
export async function finish(sluice: Sluice, runId: string): Promise<FinishedRun> {
  const run = await runEnd(sluice, runId);
  const { members, skipped, unchanged, leavers, toSend } = run.progress;
  const { confirmed, rejected, unconfirmed, notSent } = run.progress;
  expect({ runId, members }).toEqual({
    runId,
    members: members === null ? null : skipped + unchanged + (toSend - leavers),
  });
  expect({ runId, toSend }).toEqual({ runId, toSend: confirmed + rejected + unconfirmed + notSent });
  return run;
}

/** Starts a run and watches it as `finish` does. */
export async function runFully(sluice: Sluice, exportId: string): Promise<FinishedRun> {
  return finish(sluice, await startRun(sluice, exportId));
}

export interface RejectedPerson {
  readonly profileId: string;
  readonly email: string | null;
  readonly reason: string;
  readonly detail: string | null;
}

/** Whom the run did not deliver; up to a hundred. */
export async function rejectionsOf(sluice: Sluice, runId: string): Promise<RejectedPerson[]> {
  const { exportRun } = await sluice.query<{ exportRun: { rejections: { nodes: RejectedPerson[] } } }>(
    `query ($id: ID!) {
      exportRun(id: $id) { rejections(first: 100) { nodes { profileId email reason detail } } }
    }`,
    { id: runId },
  );
  return exportRun.rejections.nodes;
}

/** The importer's calls, in the order of their arrival: the only ones that carry profile data. */
export const imports = ({ log }: Sandbox): Call[] => log.filter((call) => call.kind === 'importer');

/** What the destination holds, by address, as `email first last phone`. */
export const held = (sandbox: Sandbox): string[] =>
  [...sandbox.contacts()]
    .map(({ email, firstName, lastName, phone }) => [email, firstName, lastName, phone].join('|'))
    .sort();

/** What the destination should hold once these people have arrived. */
export const wanted = (count: number, first = 1): string[] =>
  Array.from({ length: count }, (_, index) => {
    const n = first + index;
    return `${emailOf(n)}|First ${n}|Last ${n}|555-${n}`;
  });

/** The contacts of the calls whose bodies the sandbox kept (`keepBodies`). */
export function bodiesOf(calls: readonly Call[]): Record<string, unknown>[][] {
  return calls.map(
    ({ body = '{}' }) => (JSON.parse(body) as { contacts: Record<string, unknown>[] }).contacts,
  );
}
