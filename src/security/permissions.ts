import { Role } from '../entities/user.js';

/**
 * Who may do what, as data: the checks read it (schema/authorise.ts, schema/guard-fields.ts), and the tests are generated
 * from it. A field of Query, Mutation or Subscription that is not here cannot be asked for at all.
 */
export interface Rule {
  /** The lowest role that may. Each role includes the one before. */
  readonly least: Role;
  /**
   * What it acts on: below administrators, what is named here must go through a connection that is shared with
   * contributors. An export is known to everybody, so without that it is FORBIDDEN; a connection is not, so it is
   * NOT_FOUND, like one that does not exist.
   */
  readonly through?: readonly Through[];
  /** What those below `least` are told, where it is not FORBIDDEN: they may not even know that there is something. */
  readonly otherwise?: 'NOT_FOUND' | 'EMPTY';
}

export type Through = 'connection' | 'export' | 'exportOrDetached' | 'run';

const { VIEWER, CONTRIBUTOR, ADMINISTRATOR } = Role;

const everybody: Rule = { least: VIEWER };
const contributors: Rule = { least: CONTRIBUTOR };
const administrators: Rule = { least: ADMINISTRATOR };
const editorsOfTheExport: Rule = { least: CONTRIBUTOR, through: ['export'] };
const editorsOfTheRun: Rule = { least: CONTRIBUTOR, through: ['run'] };
const usersOfTheConnection: Rule = { least: CONTRIBUTOR, through: ['connection'] };

/** Every operation. */
export const OPERATIONS = {
  'Query.me': everybody,
  'Query.users': administrators,
  'Query.apiTokens': administrators,
  'Query.auditEvents': administrators,
  'Query.profileCount': everybody,
  'Query.profileAttributes': everybody,
  'Query.segments': everybody,
  'Query.segment': everybody,
  'Query.consentStatement': everybody,
  'Query.connections': { least: CONTRIBUTOR, otherwise: 'EMPTY' },
  'Query.connection': { ...usersOfTheConnection, otherwise: 'NOT_FOUND' },
  'Query.destinationLists': { ...usersOfTheConnection, otherwise: 'NOT_FOUND' },
  'Query.exports': everybody,
  'Query.export': everybody,
  'Query.planExport': editorsOfTheExport,
  'Query.exportRuns': everybody,
  'Query.exportRun': everybody,

  'Mutation.createUser': administrators,
  'Mutation.setUserRole': administrators,
  'Mutation.setUserDisabled': administrators,
  'Mutation.issueApiToken': administrators,
  'Mutation.revokeApiToken': administrators,

  'Mutation.createSegment': contributors,
  'Mutation.updateSegment': contributors,
  'Mutation.setSegmentState': contributors,
  'Mutation.removeSegment': contributors,
  'Mutation.removeProfiles': contributors,
  'PUT /profiles': contributors,

  'Mutation.createConnection': administrators,
  'Mutation.updateConnection': administrators,
  'Mutation.shareConnection': administrators,
  'Mutation.giveConsent': administrators,
  'Mutation.withdrawConsent': administrators,
  'Mutation.connect': administrators,
  'Mutation.becomeExportUser': administrators,
  'Mutation.removeConnection': administrators,

  'Mutation.createExport': usersOfTheConnection,
  'Mutation.updateExport': editorsOfTheExport,
  'Mutation.duplicateExport': editorsOfTheExport,
  'Mutation.removeExport': editorsOfTheExport,
  'Mutation.detachExports': administrators,
  'Mutation.attachExport': { least: CONTRIBUTOR, through: ['exportOrDetached', 'connection'] },

  'Mutation.runExport': editorsOfTheExport,
  'Mutation.approveExportRun': editorsOfTheRun,
  'Mutation.cancelExportRun': editorsOfTheRun,

  'Subscription.exportRunChanged': everybody,
} as const satisfies Record<string, Rule>;

export type Operation = keyof typeof OPERATIONS;

/** Who may read a field; everybody else reads null. All of them are nullable in the schema. */
export interface FieldRule {
  readonly least: Role;
  /** A user may read it of themselves too. */
  readonly orOneself?: true;
}

export const FIELDS = {
  'Connection.host': administrators,
  'Connection.apiKeyHint': administrators,
  'Connection.consent': administrators,
  'Connection.consentDueAt': administrators,
  'Connection.exportUser': administrators,
  'Connection.checkedAt': administrators,
  'Connection.problem': administrators,
  'Connection.updatedBy': administrators,
  'ProfileAttribute.sample': contributors,
  'Rejection.email': contributors,
  // The destination's own words, which may quote the address.
  'Rejection.detail': contributors,
  'User.email': { least: ADMINISTRATOR, orOneself: true },
} as const satisfies Record<string, FieldRule>;

export type GuardedField = keyof typeof FIELDS;

const RANK: Readonly<Record<Role, number>> = { VIEWER: 0, CONTRIBUTOR: 1, ADMINISTRATOR: 2 };

export function isAtLeast(role: Role, least: Role): boolean {
  return RANK[role] >= RANK[least];
}

/** The rule of an operation that is only known by its name; undefined: there is none. */
export function ruleOf(operation: string): Rule | undefined {
  return Object.hasOwn(OPERATIONS, operation) ? OPERATIONS[operation as Operation] : undefined;
}

/** The rule of a field; undefined: whoever sees the object may read it. */
export function fieldRuleOf(field: string): FieldRule | undefined {
  return Object.hasOwn(FIELDS, field) ? FIELDS[field as GuardedField] : undefined;
}
