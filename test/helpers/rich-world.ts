import type { Sandbox } from '../../sandbox/sandbox.js';
import { tamper } from './databases.js';
import { exportOf, runFully } from './engine.js';
import { connectedConnection } from './flows.js';
import { signedInAs } from './people.js';
import type { Sluice } from './sluice.js';
import { call, createTrigger, type IssuedTrigger } from './trigger-calls.js';

export interface RichWorld {
  readonly connectionId: string;
  readonly exportId: string;
  readonly trigger: IssuedTrigger;
  readonly viewerToken: string;
  /** Of the run that the call of the trigger named `call-1` got. */
  readonly triggeredRunId: string;
}

const CSV = `id,email,first_name,last_name,phone
1,ann@example.com,Ännchen 😀,"Lee ""the"" \\ one",555-0101
2,bob@example.com,Bob,"two
lines",
3,,Cleo,Diaz,555-0103
4,ANN@example.com,Anna,Lee,
5,dan@example.com,\\N,a\tb,
`;

/** What COPY writes with a backslash, what it means by one, and what looks like it. */
const ODD_TEXTS = ['a\\tb', '\\N', '\\.', 'tab\tend', 'line\nend\r\n', '\b\f\v', '', '\u0001', '￿😀'];

/** A server with something of everything: every table has rows. */
export async function makeRichWorld(sluice: Sluice, sandbox: Sandbox): Promise<RichWorld> {
  const viewer = await signedInAs(sluice, 'VIEWER');
  const connectionId = await connectedConnection(sluice, sandbox);
  const exportId = await exportOf({ sluice, connectionId }, CSV, {
    leavers: 'UNSUBSCRIBE',
    leaverHoldPercent: 100,
  });
  await sluice.query(
    `mutation { createSegment(input: { name: "A rule", kind: DYNAMIC, rule: { attribute: "phone", operator: "isNotEmpty" } }) { id } }`,
  );
  await runFully(sluice, exportId);
  // Somebody has another address: the ledger remembers the former one.
  await sluice.importCsv(CSV.replace('bob@', 'robert@'), { segment: 'All' });
  await runFully(sluice, exportId);
  const trigger = await createTrigger(sluice, exportId);
  const { body } = await call(sluice, trigger, 'call-1');
  await sluice.query(
    `mutation { setRefreshSchedule(input: {
      enabled: true, frequency: WEEKLY, days: [MONDAY], times: ["07:30"], timeZone: "Europe/Prague" }) { enabled } }`,
  );
  await sluice.query('mutation { runRefresh { id } }');
  await sluice.query('mutation ($id: ID!) { runExport(exportId: $id, idempotencyKey: "once") { id } }', {
    id: exportId,
  });
  await runFully(sluice, exportId);
  return { connectionId, exportId, trigger, viewerToken: viewer.token, triggeredRunId: body.runId ?? '' };
}

/** Adds texts that no door lets in, but that a file may hold. The server must be down. */
export async function addOddTexts(folder: string): Promise<void> {
  const values = ODD_TEXTS.map((text) => `('r', 'p', ${sqlText(text)}, 'UNCONFIRMED', NULL)`);
  await tamper(
    folder,
    `INSERT INTO "rejections" ("runId", "profileId", "email", "reason", "detail") VALUES ${values.join(', ')}`,
  );
}

function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
