import { ApiTokenResolver } from './api-token.js';
import { AuditResolver } from './audit.js';
import { ConnectionResolver } from './connection.js';
import { ConsentResolver } from './consent.js';
import { DestinationListResolver } from './destination-list.js';
import { ExportPlanResolver } from './export-plan.js';
import { ExportRunResolver } from './export-run.js';
import { ExportResolver } from './export.js';
import { ProfileResolver } from './profile.js';
import { SegmentResolver } from './segment.js';
import { UserResolver } from './user.js';

/** Every resolver, by name. */
export const resolvers = [
  ApiTokenResolver,
  AuditResolver,
  ConnectionResolver,
  ConsentResolver,
  DestinationListResolver,
  ExportPlanResolver,
  ExportResolver,
  ExportRunResolver,
  ProfileResolver,
  SegmentResolver,
  UserResolver,
] as const;
