import { Field, Int, ObjectType, type ClassType } from 'type-graphql';
import { ApiToken } from '../entities/api-token.js';
import { AuditEvent } from '../entities/audit-event.js';
import { Connection } from '../entities/connection.js';
import { ExportRun } from '../entities/export-run.js';
import { Export } from '../entities/export.js';
import { Rejection } from '../entities/rejection.js';
import { Segment } from '../entities/segment.js';
import { User } from '../entities/user.js';
import type { Page } from '../page.js';

@ObjectType({ description: 'Where a page ends, and whether another follows.' })
export class PageInfo {
  @Field(() => Boolean, { description: 'Whether more follows after this page.' })
  hasNextPage!: boolean;

  @Field(() => String, {
    nullable: true,
    description: 'Pass it as `after` to get the next page. Null: this page is empty.',
  })
  endCursor!: string | null;
}

function pageOf<Node extends object>(node: ClassType<Node>) {
  @ObjectType()
  abstract class PageOfNodes implements Page<Node> {
    @Field(() => [node], { description: 'The rows of this page.' })
    nodes!: Node[];

    @Field(() => PageInfo, { description: 'How to get the next page.' })
    pageInfo!: PageInfo;

    @Field(() => Int, { description: 'How long the whole list is, over all pages.' })
    totalCount!: number;
  }
  return PageOfNodes;
}

@ObjectType({ description: "A part of the list of a user's tokens." })
export class ApiTokenPage extends pageOf(ApiToken) {}

@ObjectType({ description: 'A part of the audit trail.' })
export class AuditEventPage extends pageOf(AuditEvent) {}

@ObjectType({ description: 'A part of the list of connections.' })
export class ConnectionPage extends pageOf(Connection) {}

@ObjectType({ description: 'A part of the list of exports.' })
export class ExportPage extends pageOf(Export) {}

@ObjectType({ description: 'A part of a list of runs.' })
export class ExportRunPage extends pageOf(ExportRun) {}

@ObjectType({ description: 'A part of the list of people that a run did not deliver.' })
export class RejectionPage extends pageOf(Rejection) {}

@ObjectType({ description: 'A part of the list of segments.' })
export class SegmentPage extends pageOf(Segment) {}

@ObjectType({ description: 'A part of the list of users.' })
export class UserPage extends pageOf(User) {}
