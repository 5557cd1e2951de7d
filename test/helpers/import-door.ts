import 'reflect-metadata';
import { mkdtempSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { systemClock } from '../../src/clock.js';
import type { Database } from '../../src/database.js';
import type { Attributes } from '../../src/entities/profile.js';
import { createLogger } from '../../src/logger.js';
import type { ImportServices } from '../../src/profiles/import.js';
import type { ImportReport } from '../../src/profiles/import-report.js';
import { importRoute } from '../../src/server/import-route.js';
import { openIn, removeFolder } from './databases.js';
import { createRequests } from '../../src/server/requests.js';

export interface ImportFailure {
  readonly message: string;
  readonly extensions: { code: string; remedy?: string; field?: string; report?: ImportReport };
}

export interface Answer {
  readonly status: number;
  readonly report: ImportReport;
  readonly failure: ImportFailure;
}

export interface Put {
  readonly query?: string;
  readonly type?: string | null;
  readonly encoding?: string;
}

/** Whoever does things where it does not matter who. */
export const ACTOR = { id: 'somebody', address: null };

/** The import alone, behind a real HTTP server and in front of a real database, whose tables tell what happened. */
export class ImportDoor implements AsyncDisposable {
  /** Generations that a run is said to read. */
  pinned: number[] = [];
  readonly services: ImportServices;

  private constructor(
    private readonly folder: string,
    readonly database: Database,
    private readonly server: Server,
    services: ImportServices,
  ) {
    this.services = { ...services, pinnedGenerations: () => Promise.resolve(this.pinned) };
  }

  static async open(): Promise<ImportDoor> {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-import-'));
    const database = await openIn(folder);
    const app = express();
    const server = createServer(app).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const logger = createLogger('silent');
    const pinnedGenerations = () => Promise.resolve([]);
    const door = new ImportDoor(folder, database, server, {
      database,
      clock: systemClock,
      logger,
      pinnedGenerations,
      scratchDirectory: folder,
    });
    app.put('/profiles', (_request, response, next) => {
      response.locals.actor = ACTOR;
      next();
    });
    app.put('/profiles', importRoute(door.services, createRequests(logger)));
    return door;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Sends a body; answers the report, or the failure. */
  async put(body: string | Uint8Array | ReadableStream, put: Put = {}): Promise<Answer> {
    const headers = new Headers();
    const type = put.type === undefined ? 'text/csv' : put.type;
    if (type !== null) headers.set('content-type', type);
    if (put.encoding !== undefined) headers.set('content-encoding', put.encoding);
    const response = await fetch(`http://127.0.0.1:${this.port}/profiles?${put.query ?? 'id=id'}`, {
      method: 'PUT',
      headers,
      body: typeof body === 'string' ? new TextEncoder().encode(body) : body,
      ...(body instanceof ReadableStream && { duplex: 'half' }),
    });
    const json = (await response.json()) as ImportReport & { errors: ImportFailure[] };
    const [failure] = json.errors;
    return {
      status: response.status,
      report: json,
      failure: failure ?? { message: '', extensions: { code: '' } },
    };
  }

  putNdjson(body: string, query = 'id=id'): Promise<Answer> {
    return this.put(body, { query, type: 'application/x-ndjson' });
  }

  /** All profiles by id, as they lie in the table. */
  async profiles(): Promise<Record<string, Attributes>> {
    const rows = await this.database.reader.query<{ id: string; attributes: string }[]>(
      'SELECT "id", "attributes" FROM "profiles" ORDER BY "id"',
    );
    return Object.fromEntries(rows.map((row) => [row.id, JSON.parse(row.attributes) as Attributes]));
  }

  /** The ids in a segment; undefined when there is no such segment. */
  async members(name: string): Promise<string[] | undefined> {
    const [segment] = await this.database.reader.query<{ generation: number; memberCount: number }[]>(
      'SELECT "generation", "memberCount" FROM "segments" WHERE "name" = $1',
      [name],
    );
    if (segment === undefined) return undefined;
    const rows = await this.database.reader.query<{ profileId: string }[]>(
      'SELECT "profileId" FROM "segment_members" WHERE "generation" = $1 ORDER BY "profileId"',
      [segment.generation],
    );
    expect(segment.memberCount).toBe(rows.length);
    return rows.map((row) => row.profileId);
  }

  /** name → [filled, sample] */
  async attributes(): Promise<Record<string, [number, string | null]>> {
    const rows = await this.database.reader.query<{ name: string; filled: number; sample: string | null }[]>(
      'SELECT * FROM "profile_attributes" ORDER BY "name"',
    );
    return Object.fromEntries(rows.map(({ name, filled, sample }) => [name, [filled, sample]]));
  }

  /** Ids of generations that have a row, and of those that have members: nothing is left lying about. */
  async generations(): Promise<{ rows: number[]; members: number[] }> {
    const { reader } = this.database;
    const rows = await reader.query<{ id: number }[]>('SELECT "id" FROM "segment_generations" ORDER BY "id"');
    const members = await reader.query<{ id: number }[]>(
      'SELECT DISTINCT "generation" AS "id" FROM "segment_members" ORDER BY 1',
    );
    return { rows: rows.map(({ id }) => id), members: members.map(({ id }) => id) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    await this.database.close();
    await removeFolder(this.folder);
  }
}
