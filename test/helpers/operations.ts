import type { Sandbox } from '../../sandbox/sandbox.js';
import type { GuardedField, GuardedType } from '../../src/security/field-permissions.js';
import type { Operation } from '../../src/security/permissions.js';
import { connectedConnection, createExportOf, runToEnd, segmentNamed } from './flows.js';
import { newTokenOf, newUser } from './people.js';
import type { Sluice, Variables } from './sluice.js';

export type GraphQLOperation = Exclude<Operation, 'PUT /profiles'>;

/** What the samples act on; everything was made by an administrator. */
export interface World {
  readonly sluice: Sluice;
  readonly sandbox: Pick<Sandbox, 'host' | 'token'>;
  readonly segmentId: string;
  /** Connected, with consent and export user. */
  readonly connectionId: string;
  /** On that connection; nobody changes it. */
  readonly exportId: string;
  /** A run of it, at its end. */
  readonly runId: string;
  readonly shared: boolean;
}

export interface Call {
  readonly document: string;
  readonly variables?: Variables;
}

/** A server with a sandbox, and two worlds in it: one shared with contributors, one not. */
export async function makeWorlds(sluice: Sluice, sandbox: World['sandbox']): Promise<World[]> {
  await sluice.importCsv('id,email\n1,ann@example.com\nnobody@example,nobody@example\n', { segment: 'All' });
  const segmentId = await segmentNamed(sluice, 'All');
  const worlds: World[] = [];
  for (const shared of [true, false]) {
    const connectionId = await connectedConnection(sluice, sandbox);
    if (shared) await share(sluice, connectionId, true);
    const exportId = await newExport(sluice, connectionId, segmentId);
    const { id: runId } = await runToEnd(sluice, exportId);
    worlds.push({ sluice, sandbox, segmentId, connectionId, exportId, runId, shared });
  }
  return worlds;
}

export async function share(sluice: Sluice, connectionId: string, shared: boolean): Promise<void> {
  const sharing = shared ? 'ADMINISTRATORS_AND_CONTRIBUTORS' : 'ADMINISTRATORS';
  await sluice.query(
    'mutation ($id: ID!, $sharing: ConnectionSharing!) { shareConnection(id: $id, sharing: $sharing) { id } }',
    { id: connectionId, sharing },
  );
}

const newExport = (sluice: Sluice, connectionId: string, segmentId: string) =>
  createExportOf(sluice, { connectionId, segmentIds: [segmentId], mapping: { email: 'email' } });

const exportIn = ({ sluice, connectionId, segmentId }: World) => newExport(sluice, connectionId, segmentId);

async function segmentIn({ sluice }: World): Promise<string> {
  const { createSegment } = await sluice.query<{ createSegment: { id: string } }>(
    'mutation ($name: String!) { createSegment(input: { name: $name }) { id } }',
    { name: crypto.randomUUID() },
  );
  return createSegment.id;
}

/** A connection that nothing uses, with consent, and shared as its world is. */
async function connectionIn({ sluice, sandbox, shared }: World): Promise<string> {
  const id = await connectedConnection(sluice, sandbox);
  if (shared) await share(sluice, id, true);
  return id;
}

async function triggerIn(world: World): Promise<string> {
  const { createTrigger } = await world.sluice.query<{ createTrigger: { trigger: { id: string } } }>(
    'mutation ($id: ID!) { createTrigger(exportId: $id, name: "New") { trigger { id } } }',
    { id: await exportIn(world) },
  );
  return createTrigger.trigger.id;
}

async function dynamicSegmentIn({ sluice }: World): Promise<string> {
  const { createSegment } = await sluice.query<{ createSegment: { id: string } }>(
    'mutation ($input: CreateSegmentInput!) { createSegment(input: $input) { id } }',
    { input: { name: crypto.randomUUID(), kind: 'DYNAMIC', rule: RULE } },
  );
  return createSegment.id;
}

const RULE = { attribute: 'email', operator: 'isNotEmpty' };

const userIn = ({ sluice }: World) => newUser(sluice, 'VIEWER');

type Sample = (world: World) => Promise<Call> | Call;

const plain =
  (document: string): Sample =>
  () => ({ document });
/** `document` with `$id`, made by `make`. */
const about = (document: string, make: (world: World) => Promise<string> | string): Sample => {
  return async (world) => ({ document, variables: { id: await make(world) } });
};
const onFreshConnection = (call: string) => about(`mutation ($id: ID!) { ${call} }`, connectionIn);

/** One call of every operation that an administrator can make without a refusal; each brings what it needs. */
export const SAMPLES: Readonly<Record<GraphQLOperation, Sample>> = {
  'Query.me': plain('{ me { id } }'),
  'Query.users': plain('{ users { totalCount } }'),
  'Query.apiTokens': about('query ($id: ID!) { apiTokens(userId: $id) { totalCount } }', userIn),
  'Query.auditEvents': plain('{ auditEvents { totalCount } }'),
  'Query.profileCount': plain('{ profileCount }'),
  'Query.profileAttributes': plain('{ profileAttributes { name } }'),
  'Query.segments': plain('{ segments { totalCount } }'),
  'Query.segment': about('query ($id: ID!) { segment(id: $id) { id } }', ({ segmentId }) => segmentId),
  'Query.consentStatement': plain('{ consentStatement(kind: ACTIVE_CAMPAIGN) { version } }'),
  'Query.connections': plain('{ connections { totalCount } }'),
  'Query.connection': about(
    'query ($id: ID!) { connection(id: $id) { id } }',
    ({ connectionId }) => connectionId,
  ),
  'Query.destinationLists': about(
    'query ($id: ID!) { destinationLists(connectionId: $id) { id } }',
    ({ connectionId }) => connectionId,
  ),
  'Query.exports': plain('{ exports { totalCount } }'),
  'Query.export': about('query ($id: ID!) { export(id: $id) { id } }', ({ exportId }) => exportId),
  'Query.planExport': about(
    'query ($id: ID!) { planExport(exportId: $id) { members } }',
    ({ exportId }) => exportId,
  ),
  'Query.exportRuns': plain('{ exportRuns { totalCount } }'),
  'Query.exportRun': about('query ($id: ID!) { exportRun(id: $id) { id } }', ({ runId }) => runId),

  'Query.previewSegment': () => ({
    document: 'query ($rule: JSONObject!) { previewSegment(rule: $rule) { count } }',
    variables: { rule: RULE },
  }),
  'Query.refreshSchedule': plain('{ refreshSchedule { enabled } }'),
  'Query.refreshes': plain('{ refreshes { totalCount } }'),
  'Query.triggers': plain('{ triggers { totalCount } }'),

  'Mutation.createUser': plain('mutation { createUser(input: { displayName: "New", role: VIEWER }) { id } }'),
  'Mutation.setUserRole': about(
    'mutation ($id: ID!) { setUserRole(userId: $id, role: CONTRIBUTOR) { id } }',
    userIn,
  ),
  'Mutation.setUserDisabled': about(
    'mutation ($id: ID!) { setUserDisabled(userId: $id, disabled: true) { id } }',
    userIn,
  ),
  'Mutation.issueApiToken': about(
    'mutation ($id: ID!) { issueApiToken(userId: $id, name: "New") { apiToken { id } } }',
    userIn,
  ),
  'Mutation.revokeApiToken': about(
    'mutation ($id: ID!) { revokeApiToken(id: $id) { id } }',
    async (world) => {
      return (await newTokenOf(world.sluice, await userIn(world))).id;
    },
  ),

  'Mutation.createSegment': () => ({
    document: 'mutation ($name: String!) { createSegment(input: { name: $name }) { id } }',
    variables: { name: crypto.randomUUID() },
  }),
  'Mutation.updateSegment': async (world) => ({
    document: 'mutation ($id: ID!, $name: String!) { updateSegment(id: $id, input: { name: $name }) { id } }',
    variables: { id: await segmentIn(world), name: crypto.randomUUID() },
  }),
  'Mutation.refreshSegment': about(
    'mutation ($id: ID!) { refreshSegment(id: $id) { id } }',
    dynamicSegmentIn,
  ),
  'Mutation.setSegmentState': about(
    'mutation ($id: ID!) { setSegmentState(id: $id, state: INACTIVE) { id } }',
    segmentIn,
  ),
  'Mutation.removeSegment': about('mutation ($id: ID!) { removeSegment(id: $id) }', segmentIn),
  'Mutation.removeProfiles': plain('mutation { removeProfiles(ids: ["nobody"]) }'),

  'Mutation.createConnection': ({ sandbox }) => ({
    document: 'mutation ($input: CreateConnectionInput!) { createConnection(input: $input) { id } }',
    variables: {
      input: { kind: 'ACTIVE_CAMPAIGN', displayName: 'New', host: sandbox.host, apiKey: sandbox.token },
    },
  }),
  'Mutation.updateConnection': onFreshConnection(
    'updateConnection(id: $id, input: { displayName: "Other" }) { id }',
  ),
  'Mutation.shareConnection': onFreshConnection('shareConnection(id: $id, sharing: ADMINISTRATORS) { id }'),
  'Mutation.giveConsent': onFreshConnection(
    'giveConsent(connectionId: $id, statementVersion: "2026-11-01") { id }',
  ),
  'Mutation.withdrawConsent': onFreshConnection('withdrawConsent(connectionId: $id) { id }'),
  'Mutation.connect': onFreshConnection('connect(connectionId: $id) { id }'),
  'Mutation.becomeExportUser': onFreshConnection('becomeExportUser(connectionId: $id) { id }'),
  'Mutation.removeConnection': onFreshConnection('removeConnection(id: $id)'),

  'Mutation.createExport': ({ connectionId, segmentId }) => ({
    document: 'mutation ($input: CreateExportInput!) { createExport(input: $input) { id } }',
    variables: {
      input: { name: 'New', connectionId, listId: '1', segmentIds: [segmentId], mapping: { email: 'email' } },
    },
  }),
  'Mutation.updateExport': about(
    'mutation ($id: ID!) { updateExport(id: $id, input: { name: "Other" }) { id } }',
    exportIn,
  ),
  'Mutation.duplicateExport': about(
    'mutation ($id: ID!) { duplicateExport(id: $id, name: "Twin") { id } }',
    exportIn,
  ),
  'Mutation.removeExport': about('mutation ($id: ID!) { removeExport(id: $id) }', exportIn),
  'Mutation.detachExports': about('mutation ($id: ID!) { detachExports(ids: [$id]) { id } }', exportIn),
  'Mutation.attachExport': async (world) => ({
    document: 'mutation ($id: ID!, $to: ID!) { attachExport(id: $id, connectionId: $to) { id } }',
    variables: { id: await exportIn(world), to: world.connectionId },
  }),
  'Mutation.runExport': about('mutation ($id: ID!) { runExport(exportId: $id) { id } }', exportIn),
  'Mutation.approveExportRun': about(
    'mutation ($id: ID!) { approveExportRun(id: $id) { id } }',
    ({ runId }) => runId,
  ),
  'Mutation.cancelExportRun': about(
    'mutation ($id: ID!) { cancelExportRun(id: $id) { id } }',
    ({ runId }) => runId,
  ),
  'Mutation.runAllExports': plain('mutation { runAllExports { id } }'),

  'Mutation.scheduleExports': about(
    'mutation ($id: ID!) { scheduleExports(ids: [$id], schedule: { enabled: false }) { id } }',
    exportIn,
  ),
  'Mutation.enableSchedules': about(
    'mutation ($id: ID!) { enableSchedules(ids: [$id], enabled: false) { id } }',
    exportIn,
  ),
  'Mutation.setRefreshSchedule': plain(
    'mutation { setRefreshSchedule(input: { enabled: false, frequency: DAILY, times: [], timeZone: "UTC" }) { enabled } }',
  ),
  'Mutation.runRefresh': plain('mutation { runRefresh { id } }'),

  'Mutation.createTrigger': about(
    'mutation ($id: ID!) { createTrigger(exportId: $id, name: "New") { trigger { id } } }',
    exportIn,
  ),
  'Mutation.rotateTriggerSecret': about(
    'mutation ($id: ID!) { rotateTriggerSecret(id: $id) { trigger { id } } }',
    triggerIn,
  ),
  'Mutation.setTriggerEnabled': about(
    'mutation ($id: ID!) { setTriggerEnabled(id: $id, enabled: false) { id } }',
    triggerIn,
  ),
  'Mutation.removeTrigger': about('mutation ($id: ID!) { removeTrigger(id: $id) }', triggerIn),

  'Subscription.exportRunChanged': about(
    'subscription ($id: ID!) { exportRunChanged(runId: $id) { id } }',
    ({ runId }) => runId,
  ),
};

type Way = (selection: string) => Sample;

/** What `make` makes in a world, made once for all fields of a type. */
function once(make: (world: World) => Promise<string>): (world: World) => Promise<string> {
  const made = new WeakMap<World, Promise<string>>();
  return (world) => {
    const id = made.get(world) ?? make(world);
    made.set(world, id);
    return id;
  };
}

const inExport =
  (inside: (selection: string) => string): Way =>
  (selection) =>
    about(`query ($id: ID!) { export(id: $id) { ${inside(selection)} } }`, ({ exportId }) => exportId);
const inRun =
  (inside: (selection: string) => string): Way =>
  (selection) =>
    about(`query ($id: ID!) { exportRun(id: $id) { ${inside(selection)} } }`, ({ runId }) => runId);
/** An export that somebody with an address changed last. */
const exportOfAnn = once(async ({ sluice, connectionId, segmentId }) => {
  const { createUser } = await sluice.query<{ createUser: { id: string } }>(
    'mutation { createUser(input: { displayName: "Ann", email: "ann@example.com", role: ADMINISTRATOR }) { id } }',
  );
  const ann = sluice.as((await newTokenOf(sluice, createUser.id)).token);
  return newExport(ann, connectionId, segmentId);
});
const someUser = once(userIn);
const userWithToken = once(async (world) => {
  const userId = await userIn(world);
  await newTokenOf(world.sluice, userId);
  return userId;
});
const exportForTriggers = once(exportIn);
const exportWithTrigger = once(async (world) => {
  const id = await exportIn(world);
  await world.sluice.query(
    'mutation ($id: ID!) { createTrigger(exportId: $id, name: "New") { trigger { id } } }',
    { id },
  );
  return id;
});
/** Its only segment is inactive. */
const skippedRun = once(async (world) => {
  const segmentId = await segmentIn(world);
  await world.sluice.query('mutation ($id: ID!) { setSegmentState(id: $id, state: INACTIVE) { id } }', {
    id: segmentId,
  });
  const exportId = await newExport(world.sluice, world.connectionId, segmentId);
  return (await runToEnd(world.sluice, exportId)).id;
});
const someDynamicSegment = once(dynamicSegmentIn);
const someRefresh = once(async ({ sluice }) => {
  await sluice.query('mutation { runRefresh { id } }');
  return '';
});
const inPreview =
  (inside: (selection: string) => string): Way =>
  (selection) =>
  () => ({
    document: `query ($rule: JSONObject!) { previewSegment(rule: $rule) { ${inside(selection)} } }`,
    variables: { rule: { attribute: 'email', operator: 'greaterThan', value: 1 } },
  });

/** One way to an object of every guarded type; roles that may not go it meet the rule of its operation. */
export const WAYS: Readonly<Record<GuardedType, Way>> = {
  ApiToken: (selection) =>
    about(`query ($id: ID!) { apiTokens(userId: $id) { nodes { ${selection} } } }`, userWithToken),
  AuditEvent: (selection) => plain(`{ auditEvents(first: 1) { nodes { ${selection} } } }`),
  Connection: inExport((selection) => `connection { ${selection} }`),
  Consent: inExport((selection) => `connection { consent { ${selection} } }`),
  Export: inExport((selection) => selection),
  ExportPlan: (selection) =>
    about(`query ($id: ID!) { planExport(exportId: $id) { ${selection} } }`, ({ exportId }) => exportId),
  ExportRun: inRun((selection) => selection),
  IssuedApiToken: (selection) =>
    about(`mutation ($id: ID!) { issueApiToken(userId: $id, name: "New") { ${selection} } }`, someUser),
  IssuedTrigger: (selection) =>
    about(
      `mutation ($id: ID!) { createTrigger(exportId: $id, name: "New") { ${selection} } }`,
      exportForTriggers,
    ),
  PreviewedProfile: (selection) => () => ({
    document: `query ($rule: JSONObject!) { previewSegment(rule: $rule) { members { ${selection} } } }`,
    variables: { rule: RULE },
  }),
  Problem: (selection) =>
    about(`query ($id: ID!) { exportRun(id: $id) { problem { ${selection} } } }`, skippedRun),
  ProfileAttribute: (selection) => plain(`{ profileAttributes { ${selection} } }`),
  Refresh: (selection) => refreshed(`{ refreshes(first: 1) { nodes { ${selection} } } }`),
  RefreshStep: (selection) => refreshed(`{ refreshes(first: 1) { nodes { steps { ${selection} } } } }`),
  Rejection: inRun((selection) => `rejections { nodes { ${selection} } }`),
  Segment: (selection) => about(`query ($id: ID!) { segment(id: $id) { ${selection} } }`, someDynamicSegment),
  SegmentPreview: inPreview((selection) => selection),
  Trigger: (selection) =>
    about(`query ($id: ID!) { triggers(exportId: $id) { nodes { ${selection} } } }`, exportWithTrigger),
  UnparsedValues: inPreview((selection) => `unparsed { ${selection} }`),
  User: (selection) =>
    about(`query ($id: ID!) { export(id: $id) { updatedBy { ${selection} } } }`, exportOfAnn),
};

/** Asks once somebody has refreshed. */
const refreshed =
  (document: string): Sample =>
  async (world) => {
    await someRefresh(world);
    return { document };
  };

/** The operation of a way that not everybody may go. */
export const OPERATION_OF: Partial<Record<GuardedType, GraphQLOperation>> = {
  ApiToken: 'Query.apiTokens',
  AuditEvent: 'Query.auditEvents',
  ExportPlan: 'Query.planExport',
  IssuedApiToken: 'Mutation.issueApiToken',
  IssuedTrigger: 'Mutation.createTrigger',
  PreviewedProfile: 'Query.previewSegment',
  SegmentPreview: 'Query.previewSegment',
  UnparsedValues: 'Query.previewSegment',
};

/** Fields that nobody has a value of in these worlds. */
export const EMPTY_FIELDS: readonly GuardedField[] = [
  ...(['ApiToken.expiresAt', 'ApiToken.lastUsedAt', 'ApiToken.revokedAt'] as const),
  ...(['Connection.consentDueAt', 'Connection.problem', 'ExportPlan.problem'] as const),
  ...(['ExportRun.cancelRequestedAt', 'ExportRun.phase', 'ExportRun.problem'] as const),
  ...(['ExportPlan.accountLimit', 'RefreshStep.problem', 'Trigger.lastCalledAt'] as const),
];

/** What an administrator is answered nevertheless: the run of the world is not HELD. */
export const STATE_FORBIDS: Partial<Record<GraphQLOperation, string>> = {
  'Mutation.approveExportRun': 'CONFLICT',
};
