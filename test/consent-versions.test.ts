import { createHash } from 'node:crypto';
import type { Sandbox } from '../sandbox/sandbox.js';
import { CONSENT_STATEMENTS, type ConsentStatements } from '../src/connections/consent-statements.js';
import { connectionCalls, refusalOf } from './helpers/connection-calls.js';
import { exportOf, people, runFully } from './helpers/engine.js';
import { connectedConnection, startRun } from './helpers/flows.js';
import { createManualClock, type ManualClock } from './helpers/manual-clock.js';
import { auditOf } from './helpers/people.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

const DAY_MS = 24 * 60 * 60_000;
const NEWER: ConsentStatements = {
  ACTIVE_CAMPAIGN: { version: '2027-01-01', text: 'By agreeing you agree to more.' },
};
const OLD = CONSENT_STATEMENTS.ACTIVE_CAMPAIGN;

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');

interface Stage {
  readonly folder: string;
  readonly sandbox: Sandbox;
  readonly connectionId: string;
  readonly exportId: string;
}

/** A folder in which an administrator has agreed to the old statement, and an export has run. */
async function agreed(folder: string, sandbox: Sandbox): Promise<Stage> {
  await using sluice = await startSluice({ folder, sandbox });
  const connectionId = await connectedConnection(sluice, sandbox);
  const exportId = await exportOf({ sluice, connectionId }, people(2));
  await runFully(sluice, exportId);
  return { folder, sandbox, connectionId, exportId };
}

const dueAt = async (sluice: Sluice, id: string) =>
  (
    await sluice.query<{ connection: { consentDueAt: string | null } }>(
      'query ($id: ID!) { connection(id: $id) { consentDueAt } }',
      { id },
    )
  ).connection.consentDueAt;

/** Asks until the consent is gone; the test's own time-out ends it otherwise. */
async function untilLapsed(sluice: Sluice, id: string): Promise<void> {
  while ((await connectionCalls(sluice).get(id)).consent !== null);
}

/** The server after an update that brought a newer statement. */
const updated = ({ folder, sandbox }: Stage, clock: ManualClock, env: Record<string, string> = {}) =>
  startSluice({ folder, sandbox, clock, env, consentStatements: NEWER });

describe('a newer statement', () => {
  let sandbox: Sandbox & AsyncDisposable;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let stage: Stage;

  beforeEach(async () => {
    sandbox = await startTestSandbox();
    folder = await temporaryFolder();
    stage = await agreed(folder.path, sandbox);
  });
  afterEach(async () => {
    await folder[Symbol.asyncDispose]();
    await sandbox[Symbol.asyncDispose]();
  });

  it('asks to agree again, and lets the earlier consent hold for 30 days', async () => {
    const clock = createManualClock();
    await using sluice = await updated(stage, clock);
    const calls = connectionCalls(sluice);
    expect(await calls.statement()).toEqual(NEWER.ACTIVE_CAMPAIGN);
    expect((await calls.get(stage.connectionId)).consent).toMatchObject({ statementVersion: OLD.version });
    const due = new Date(clock.now() + 30 * DAY_MS).toISOString();
    expect(await dueAt(sluice, stage.connectionId)).toBe(due);
    expect(sluice.log).toContainEqual(
      expect.objectContaining({ level: 40, connectionId: stage.connectionId, dueAt: due }) as unknown,
    );
    await clock.pass(30 * DAY_MS - 1);
    expect((await calls.get(stage.connectionId)).consent).not.toBeNull();
  });

  it('stops runs once the grace is over and nobody has agreed, and writes that down', async () => {
    const clock = createManualClock();
    await using sluice = await updated(stage, clock);
    await clock.pass(30 * DAY_MS);
    await untilLapsed(sluice, stage.connectionId);
    expect(await refusalOf(startRun(sluice, stage.exportId))).toMatchObject({
      code: 'CONSENT_REQUIRED',
      remedy: expect.stringContaining('giveConsent') as string,
    });
    const [event] = await auditOf(sluice, 'action: "lapseConsent"');
    expect(event).toMatchObject({
      actor: null,
      subjectType: 'Connection',
      subjectId: stage.connectionId,
      at: new Date(clock.now()).toISOString(),
      detail: { statementHash: hashOf(OLD.text), changes: { consent: { old: OLD.version, new: null } } },
    });
  });

  it('counts the grace from its first start, also while the server stands still', async () => {
    const clock = createManualClock();
    await (await updated(stage, clock)).stop();
    await clock.pass(29 * DAY_MS);
    {
      await using again = await updated(stage, clock);
      expect(await dueAt(again, stage.connectionId)).toBe(new Date(clock.now() + DAY_MS).toISOString());
    }
    await clock.pass(DAY_MS);
    await using late = await updated(stage, clock);
    expect((await connectionCalls(late).get(stage.connectionId)).consent).toBeNull();
  });

  it.each([0, 3])('takes the days of grace from the setting: %d', async (days) => {
    const clock = createManualClock();
    await using sluice = await updated(stage, clock, { SLUICE_CONSENT_GRACE_DAYS: String(days) });
    const consent = async () => (await connectionCalls(sluice).get(stage.connectionId)).consent;
    if (days > 0) {
      await clock.pass(days * DAY_MS - 1);
      expect(await consent()).not.toBeNull();
      await clock.pass(1);
    }
    await untilLapsed(sluice, stage.connectionId);
  });

  it('is agreed to like the first, after which there is nothing to do and the earlier consent is kept as ended', async () => {
    const clock = createManualClock();
    await using sluice = await updated(stage, clock);
    await connectionCalls(sluice).giveConsent(stage.connectionId);
    expect(await dueAt(sluice, stage.connectionId)).toBeNull();
    await clock.pass(31 * DAY_MS);
    expect((await connectionCalls(sluice).get(stage.connectionId)).consent).toMatchObject({
      statement: NEWER.ACTIVE_CAMPAIGN.text,
      statementVersion: NEWER.ACTIVE_CAMPAIGN.version,
    });
    expect(await auditOf(sluice, 'action: "lapseConsent"')).toEqual([]);
  });

  it('that is taken back leaves the earlier consent as it was', async () => {
    const clock = createManualClock();
    await (await updated(stage, clock)).stop();
    await using sluice = await startSluice({ folder: stage.folder, sandbox, clock });
    expect(await dueAt(sluice, stage.connectionId)).toBeNull();
    await clock.pass(31 * DAY_MS);
    expect((await connectionCalls(sluice).get(stage.connectionId)).consent).not.toBeNull();
  });

  it('changes nothing for a consent to the version of today', async () => {
    const clock = createManualClock();
    await using sluice = await startSluice({ folder: stage.folder, sandbox, clock });
    expect(await dueAt(sluice, stage.connectionId)).toBeNull();
  });
});

describe('giving and withdrawing consent', () => {
  it('counts as withdrawn, with the hash, when the host changes or the connection is removed', async () => {
    await using sandbox = await startTestSandbox();
    await using sluice = await startSluice({ sandbox });
    const calls = connectionCalls(sluice);
    for (const end of [
      (id: string) => calls.update(id, { host: 'other.api-us1.com' }),
      (id: string) => calls.remove(id),
    ]) {
      const { id } = await calls.create({ host: sandbox.host, apiKey: sandbox.token });
      await calls.giveConsent(id);
      await end(id);
      const events = await auditOf(sluice, `subjectId: "${id}", action: "withdrawConsent"`);
      expect(events).toMatchObject([{ result: 'OK', detail: { statementHash: hashOf(OLD.text) } }]);
    }
  });

  it('are written down with the hash of the statement', async () => {
    await using sandbox = await startTestSandbox();
    await using sluice = await startSluice({ sandbox });
    const calls = connectionCalls(sluice);
    const { id } = await calls.create({ host: sandbox.host, apiKey: sandbox.token });
    await calls.giveConsent(id);
    await calls.withdrawConsent(id);
    const detail = { statementVersion: OLD.version, statementHash: hashOf(OLD.text) };
    expect((await auditOf(sluice, `subjectId: "${id}"`)).slice(0, 2)).toMatchObject([
      {
        action: 'withdrawConsent',
        result: 'OK',
        detail: { ...detail, changes: { consent: { old: OLD.version, new: null } } },
      },
      {
        action: 'giveConsent',
        result: 'OK',
        detail: { ...detail, changes: { consent: { old: null, new: OLD.version } } },
      },
    ]);
  });
});
