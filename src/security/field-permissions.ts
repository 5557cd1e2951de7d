import { Role } from '../entities/user.js';

/**
 * Who may read a field of an object, as data. The guard of the schema reads it (schema/guard-fields.ts), and the tests are
 * generated from it. A type is either in GUARDED_TYPES, and then each of its fields has a rule in FIELDS, or in OPEN_TYPES;
 * a server with any other type or field does not start.
 */
export interface FieldRule {
  /** The lowest role that may read it. */
  readonly least: Role;
  /** What everybody below reads: null, which needs a nullable field, or FORBIDDEN at the path of the field. Default: null. */
  readonly otherwise?: 'FORBIDDEN';
  /** FORBIDDEN to whoever may not use the connection that it is a field of, whatever `least` says. */
  readonly ofUsableConnection?: true;
  /** Users may read it of themselves too. */
  readonly orOneself?: true;
  /** Everybody may read it if it is an opaque id: see `isOpaque`. */
  readonly orOpaque?: true;
}

const everybody: FieldRule = { least: Role.VIEWER };
const contributors: FieldRule = { least: Role.CONTRIBUTOR };
/** Of types that only operations of contributors return: a second check behind that of the operation. */
const contributorsAlone: FieldRule = { least: Role.CONTRIBUTOR, otherwise: 'FORBIDDEN' };
const administratorsAlone: FieldRule = { least: Role.ADMINISTRATOR, otherwise: 'FORBIDDEN' };
const usersOfTheConnection: FieldRule = { least: Role.CONTRIBUTOR, ofUsableConnection: true };
const administratorsOfTheConnection: FieldRule = { least: Role.ADMINISTRATOR, ofUsableConnection: true };

/** The types that hold, or lead to, what not everybody may read. */
export const GUARDED_TYPES = [
  ...(['ApiToken', 'AuditEvent', 'Connection', 'Consent', 'Export', 'ExportPlan', 'ExportRun'] as const),
  ...(['IssuedApiToken', 'IssuedTrigger', 'PreviewedProfile', 'Problem', 'ProfileAttribute'] as const),
  ...(['Refresh', 'RefreshStep', 'Rejection', 'Segment', 'SegmentPreview', 'Trigger'] as const),
  ...(['UnparsedValues', 'User'] as const),
];

export type GuardedType = (typeof GUARDED_TYPES)[number];

/** Counts, times, names of attributes and lists, and pages, whose nodes have rules of their own. */
export const OPEN_TYPES: readonly string[] = [
  ...['ApiTokenPage', 'AuditEventPage', 'ConnectionPage', 'ExportPage', 'ExportRunPage', 'RefreshPage'],
  ...['RejectionPage', 'SegmentPage', 'SegmentSizePage', 'TriggerPage', 'UserPage', 'PageInfo'],
  ...['ConsentStatement', 'DestinationList', 'ExportRunProgress', 'ExportSchedule', 'Mapping'],
  ...['RefreshSchedule', 'SegmentSize', 'SkippedMembers'],
];

export const FIELDS = {
  'ApiToken.createdAt': administratorsAlone,
  'ApiToken.expiresAt': administratorsAlone,
  'ApiToken.hint': administratorsAlone,
  'ApiToken.id': administratorsAlone,
  'ApiToken.lastUsedAt': administratorsAlone,
  'ApiToken.name': administratorsAlone,
  'ApiToken.revokedAt': administratorsAlone,

  'AuditEvent.action': administratorsAlone,
  'AuditEvent.actor': administratorsAlone,
  'AuditEvent.at': administratorsAlone,
  'AuditEvent.clientAddress': administratorsAlone,
  'AuditEvent.detail': administratorsAlone,
  'AuditEvent.id': administratorsAlone,
  'AuditEvent.result': administratorsAlone,
  'AuditEvent.subjectId': administratorsAlone,
  'AuditEvent.subjectType': administratorsAlone,

  'Connection.apiKeyHint': administratorsOfTheConnection,
  'Connection.checkedAt': administratorsOfTheConnection,
  'Connection.consent': administratorsOfTheConnection,
  'Connection.consentDueAt': administratorsOfTheConnection,
  'Connection.createdAt': usersOfTheConnection,
  'Connection.displayName': everybody,
  'Connection.exportUser': administratorsOfTheConnection,
  'Connection.host': administratorsOfTheConnection,
  'Connection.id': everybody,
  'Connection.kind': everybody,
  'Connection.problem': administratorsOfTheConnection,
  'Connection.profileLimit': usersOfTheConnection,
  'Connection.sharing': usersOfTheConnection,
  'Connection.state': everybody,
  'Connection.updatedAt': usersOfTheConnection,
  'Connection.updatedBy': administratorsOfTheConnection,
  'Connection.yourAccess': usersOfTheConnection,

  'Consent.acceptedAt': administratorsAlone,
  'Consent.acceptedBy': administratorsAlone,
  'Consent.statement': administratorsAlone,
  'Consent.statementVersion': administratorsAlone,

  'Export.connection': everybody,
  'Export.createdAt': everybody,
  'Export.id': everybody,
  'Export.lastRun': everybody,
  'Export.leaverHoldPercent': everybody,
  'Export.leavers': everybody,
  'Export.list': everybody,
  'Export.mapping': everybody,
  'Export.name': everybody,
  'Export.runAutomations': everybody,
  'Export.runs': everybody,
  'Export.schedule': everybody,
  'Export.segments': everybody,
  'Export.updatedAt': everybody,
  'Export.updatedBy': everybody,
  'Export.yourAccess': everybody,

  'ExportPlan.accountContacts': contributorsAlone,
  'ExportPlan.accountLimit': contributorsAlone,
  'ExportPlan.changed': contributorsAlone,
  'ExportPlan.expectedMinutes': contributorsAlone,
  'ExportPlan.importerCalls': contributorsAlone,
  'ExportPlan.keptFormerAddresses': contributorsAlone,
  'ExportPlan.leavers': contributorsAlone,
  'ExportPlan.members': contributorsAlone,
  'ExportPlan.new': contributorsAlone,
  'ExportPlan.otherCalls': contributorsAlone,
  'ExportPlan.problem': contributorsAlone,
  'ExportPlan.refused': contributorsAlone,
  'ExportPlan.returning': contributorsAlone,
  'ExportPlan.skipped': contributorsAlone,
  'ExportPlan.unchanged': contributorsAlone,

  'ExportRun.attempt': everybody,
  'ExportRun.cancelRequestedAt': everybody,
  'ExportRun.export': everybody,
  'ExportRun.finishedAt': everybody,
  'ExportRun.id': everybody,
  'ExportRun.phase': everybody,
  'ExportRun.problem': everybody,
  'ExportRun.progress': everybody,
  'ExportRun.queuedAt': everybody,
  'ExportRun.rejections': everybody,
  'ExportRun.requestedBy': everybody,
  'ExportRun.startedAt': everybody,
  'ExportRun.state': everybody,
  'ExportRun.trigger': everybody,

  'IssuedApiToken.apiToken': administratorsAlone,
  'IssuedApiToken.token': administratorsAlone,

  'IssuedTrigger.secret': contributorsAlone,
  'IssuedTrigger.trigger': contributorsAlone,

  'PreviewedProfile.attributes': contributorsAlone,
  'PreviewedProfile.id': contributorsAlone,

  'Problem.code': everybody,
  'Problem.message': everybody,
  'Problem.remedy': everybody,

  'ProfileAttribute.filled': everybody,
  'ProfileAttribute.name': everybody,
  'ProfileAttribute.sample': contributors,

  'Refresh.attempt': everybody,
  'Refresh.finishedAt': everybody,
  'Refresh.id': everybody,
  'Refresh.requestedBy': everybody,
  'Refresh.startedAt': everybody,
  'Refresh.state': everybody,
  'Refresh.steps': everybody,
  'Refresh.trigger': everybody,

  'RefreshStep.finishedAt': everybody,
  'RefreshStep.kind': everybody,
  'RefreshStep.memberCount': everybody,
  'RefreshStep.name': everybody,
  'RefreshStep.problem': everybody,
  'RefreshStep.run': everybody,
  'RefreshStep.startedAt': everybody,
  'RefreshStep.state': everybody,
  'RefreshStep.subjectId': everybody,

  // The destination's own words, which may quote the address.
  'Rejection.detail': contributors,
  'Rejection.email': contributors,
  'Rejection.profileId': { least: Role.CONTRIBUTOR, orOpaque: true },
  'Rejection.reason': everybody,

  'Segment.createdAt': everybody,
  'Segment.evaluatedAt': everybody,
  'Segment.history': everybody,
  'Segment.id': everybody,
  'Segment.kind': everybody,
  'Segment.memberCount': everybody,
  'Segment.name': everybody,
  // The values that it compares with are values of profiles.
  'Segment.rule': contributors,
  'Segment.state': everybody,

  'SegmentPreview.count': contributorsAlone,
  'SegmentPreview.members': contributorsAlone,
  'SegmentPreview.unparsed': contributorsAlone,

  'Trigger.authentication': everybody,
  'Trigger.createdAt': everybody,
  'Trigger.enabled': everybody,
  'Trigger.export': everybody,
  'Trigger.id': everybody,
  'Trigger.lastCalledAt': everybody,
  'Trigger.name': everybody,
  'Trigger.path': everybody,

  'UnparsedValues.attribute': contributorsAlone,
  'UnparsedValues.comparedAs': contributorsAlone,
  'UnparsedValues.count': contributorsAlone,

  'User.createdAt': everybody,
  'User.disabled': everybody,
  'User.displayName': everybody,
  'User.email': { least: Role.ADMINISTRATOR, orOneself: true },
  'User.id': everybody,
  'User.kind': everybody,
  'User.role': everybody,
} as const satisfies Record<`${GuardedType}.${string}`, FieldRule>;

export type GuardedField = keyof typeof FIELDS;

/** The rule of a field, like `Connection.host`; undefined: it has none. */
export function fieldRuleOf(field: string): FieldRule | undefined {
  return Object.hasOwn(FIELDS, field) ? FIELDS[field as GuardedField] : undefined;
}

export function isGuarded(type: string): boolean {
  return (GUARDED_TYPES as readonly string[]).includes(type);
}

const OPAQUE = /^(?=[^0-9]*[0-9])[A-Za-z0-9_-]+$/;

/**
 * Whether an id of a profile says nothing of the person: ASCII letters, digits, hyphens and underscores, with a digit among them.
 * Addresses, and names and phone numbers as people write them, have other characters or no digit. See ADR 116.
 */
export function isOpaque(id: string): boolean {
  return OPAQUE.test(id);
}
