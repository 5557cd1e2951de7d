import { Role } from '../entities/user.js';

/**
 * Who may do what, as data: the checks read it (schema/authorise.ts, schema/guard-fields.ts), and the tests are generated
 * from it. A field of Query, Mutation or Subscription that is not here cannot be asked for at all. Who may read which field of
 * what is answered stands in field-permissions.ts.
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

export type Through = 'connection' | 'export' | 'exportOrDetached' | 'run' | 'trigger';

const { VIEWER, CONTRIBUTOR, ADMINISTRATOR } = Role;

const everybody: Rule = { least: VIEWER };
const contributors: Rule = { least: CONTRIBUTOR };
const administrators: Rule = { least: ADMINISTRATOR };
const editorsOfTheExport: Rule = { least: CONTRIBUTOR, through: ['export'] };
const editorsOfTheRun: Rule = { least: CONTRIBUTOR, through: ['run'] };
const editorsOfTheTrigger: Rule = { least: CONTRIBUTOR, through: ['trigger'] };
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
  'Query.previewSegment': contributors,
  'Query.consentStatement': everybody,
  'Query.connections': { least: CONTRIBUTOR, otherwise: 'EMPTY' },
  'Query.connection': { ...usersOfTheConnection, otherwise: 'NOT_FOUND' },
  'Query.destinationLists': { ...usersOfTheConnection, otherwise: 'NOT_FOUND' },
  'Query.exports': everybody,
  'Query.export': everybody,
  'Query.planExport': editorsOfTheExport,
  'Query.exportRuns': everybody,
  'Query.exportRun': everybody,
  'Query.refreshSchedule': everybody,
  'Query.refreshes': everybody,
  'Query.triggers': everybody,

  'Mutation.createUser': administrators,
  'Mutation.setUserRole': administrators,
  'Mutation.setUserDisabled': administrators,
  'Mutation.issueApiToken': administrators,
  'Mutation.revokeApiToken': administrators,

  'Mutation.createSegment': contributors,
  'Mutation.updateSegment': contributors,
  'Mutation.refreshSegment': contributors,
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
  // Of the exports, those alone that the caller may run.
  'Mutation.runAllExports': contributors,

  'Mutation.scheduleExports': editorsOfTheExport,
  'Mutation.enableSchedules': editorsOfTheExport,
  'Mutation.setRefreshSchedule': administrators,
  'Mutation.runRefresh': administrators,

  // POST /hooks is for nobody in person: who knows the secret of a trigger may start runs of its export.
  'Mutation.createTrigger': editorsOfTheExport,
  'Mutation.rotateTriggerSecret': editorsOfTheTrigger,
  'Mutation.setTriggerEnabled': editorsOfTheTrigger,
  'Mutation.removeTrigger': editorsOfTheTrigger,

  'Subscription.exportRunChanged': everybody,
} as const satisfies Record<string, Rule>;

export type Operation = keyof typeof OPERATIONS;

const RANK: Readonly<Record<Role, number>> = { VIEWER: 0, CONTRIBUTOR: 1, ADMINISTRATOR: 2 };

export function isAtLeast(role: Role, least: Role): boolean {
  return RANK[role] >= RANK[least];
}

/** The rule of an operation that is only known by its name; undefined: there is none. */
export function ruleOf(operation: string): Rule | undefined {
  return Object.hasOwn(OPERATIONS, operation) ? OPERATIONS[operation as Operation] : undefined;
}
