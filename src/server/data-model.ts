import { AccountCall } from '../entities/account-call.js';
import { AccountTenure } from '../entities/account-tenure.js';
import { ApiToken } from '../entities/api-token.js';
import { AuditEvent, AuditRetention } from '../entities/audit-event.js';
import { Batch } from '../entities/batch.js';
import { Connection } from '../entities/connection.js';
import { Consent } from '../entities/consent.js';
import { ExportRun, RunRequest } from '../entities/export-run.js';
import { ExportSchedule } from '../entities/export-schedule.js';
import { Export, ExportSegment } from '../entities/export.js';
import { FormerAddress, Ledger, LedgerEntry } from '../entities/ledger.js';
import { ProfileAttribute } from '../entities/profile-attribute.js';
import { Profile } from '../entities/profile.js';
import { RefreshSchedule } from '../entities/refresh-schedule.js';
import { Refresh, RefreshStep } from '../entities/refresh.js';
import { Rejection } from '../entities/rejection.js';
import { HashKey, Removal } from '../entities/removal.js';
import { Segment, SegmentGeneration, SegmentMember, SegmentSize } from '../entities/segment.js';
import { Trigger, TriggerCall } from '../entities/trigger.js';
import { User } from '../entities/user.js';
import { FirstTables1795469000000 } from '../migrations/1795469000000-first-tables.js';
import { PeopleAndAudit1795500000000 } from '../migrations/1795500000000-people-and-audit.js';
import { WhatStartsARun1795520000000 } from '../migrations/1795520000000-what-starts-a-run.js';
import { ManyProcesses1795530000000 } from '../migrations/1795530000000-many-processes.js';
import { RoomForUpdates1795535000000 } from '../migrations/1795535000000-room-for-updates.js';
import { WhereARefreshWasAskedFor1795536000000 } from '../migrations/1795536000000-where-a-refresh-was-asked-for.js';
import { UnprovenTries1796100000000 } from '../migrations/1796100000000-unproven-tries.js';
import { RemovalWindowsOfAttempts1796110000000 } from '../migrations/1796110000000-removal-windows-of-attempts.js';
import { InvisibleValues1796120000000 } from '../migrations/1796120000000-invisible-values.js';
import { WhoFoundThemGone1796130000000 } from '../migrations/1796130000000-who-found-them-gone.js';
import { KeysOfAddresses1796140000000 } from '../migrations/1796140000000-keys-of-addresses.js';
import { NewcomersOfBatches1796141000000 } from '../migrations/1796141000000-newcomers-of-batches.js';
import { RemovalsOutliveExports1796150000000 } from '../migrations/1796150000000-removals-outlive-exports.js';
import { CallsOfCallers1796160000000 } from '../migrations/1796160000000-calls-of-callers.js';
import { ExportsToOneList1796170000000 } from '../migrations/1796170000000-exports-to-one-list.js';

/** Every table and every migration, by name: nothing is found by looking through folders. */
export const dataModel = {
  entities: [
    AccountCall,
    AccountTenure,
    ApiToken,
    AuditEvent,
    AuditRetention,
    Batch,
    Connection,
    Consent,
    Export,
    ExportRun,
    ExportSchedule,
    ExportSegment,
    FormerAddress,
    HashKey,
    Ledger,
    LedgerEntry,
    Profile,
    ProfileAttribute,
    Refresh,
    RefreshSchedule,
    RefreshStep,
    Rejection,
    Removal,
    RunRequest,
    Segment,
    SegmentGeneration,
    SegmentMember,
    SegmentSize,
    Trigger,
    TriggerCall,
    User,
  ],
  migrations: [
    FirstTables1795469000000,
    PeopleAndAudit1795500000000,
    WhatStartsARun1795520000000,
    ManyProcesses1795530000000,
    RoomForUpdates1795535000000,
    WhereARefreshWasAskedFor1795536000000,
    UnprovenTries1796100000000,
    RemovalWindowsOfAttempts1796110000000,
    InvisibleValues1796120000000,
    WhoFoundThemGone1796130000000,
    KeysOfAddresses1796140000000,
    NewcomersOfBatches1796141000000,
    RemovalsOutliveExports1796150000000,
    CallsOfCallers1796160000000,
    ExportsToOneList1796170000000,
  ],
};
