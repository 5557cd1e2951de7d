import type { Sandbox } from '../../sandbox/sandbox.js';
import { createExportOf } from '../helpers/flows.js';
import type { Sluice } from '../helpers/sluice.js';
import { ModelDestination } from './destination.js';
import { Model } from './engine.js';
import type { ModelExport, ModelSegment } from './ledger.js';
import type { StillTime } from './still-time.js';
import { addressOf, EXPORTS, LISTS, MAPPINGS, PROFILES, SEGMENTS, type Change } from './operations.js';

/** A server with a connection, and the sandbox behind it. */
export interface Place {
  readonly sandbox: Sandbox;
  readonly connectionId: string;
  /** The destination's. It passes between what people do, and stands still while runs are under way. */
  readonly time: StillTime;
  /** The server as it runs now: another one after a kill. */
  readonly sluice: () => Sluice;
  /** Kills the server when told to, and starts it again; undefined: it cannot be killed. */
  readonly restart?: () => Promise<void>;
}

/** Longer than answers about a removal may lie apart: what people do is never taken for what a run did before. */
const BETWEEN_MS = 120_000;

let stages = 0;

/**
 * The people, segments, exports and lists of one sequence, its own on a server that it may share with others: in the real
 * thing and in the model. Each change is made to both.
 */
export class Stage {
  readonly destination = new ModelDestination();
  readonly exports: readonly ModelExport[];
  readonly exportIds: string[] = [];
  readonly model: Model;
  private readonly name = `s${(stages += 1)}`;
  private readonly segments: readonly ModelSegment[];
  private readonly segmentIds: string[] = [];
  private lists: number[] = [];

  private constructor(readonly place: Place) {
    this.segments = Array.from({ length: SEGMENTS }, () => ({ members: new Set<string>(), active: true }));
    this.exports = Array.from({ length: EXPORTS }, (_, index) => ({
      segments: this.segments.slice(index, index + 2),
      list: 0,
      keepsLeavers: false,
      holdPercent: 100,
      attached: true,
      mapping: MAPPINGS[0],
      ledgers: new Map(),
    }));
    this.model = new Model(this.destination, this.exports);
  }

  /** Two exports to one list, of overlapping segments, which take off who leaves. Nothing has run yet. */
  static async start(place: Place): Promise<Stage> {
    const stage = new Stage(place);
    await stage.setUp();
    return stage;
  }

  async change(change: Change): Promise<void> {
    this.passTime();
    await this.make(change);
    this.passTime();
  }

  private passTime(): void {
    this.place.time.pass(BETWEEN_MS);
    this.destination.now += BETWEEN_MS;
  }

  private async make(change: Change): Promise<void> {
    const { sandbox } = this.place;
    switch (change.do) {
      case 'join':
      case 'leave':
        return this.setMember(change.segment, change.profile, change.do === 'join');
      case 'set':
        return this.setAttributes(change.profile, { [change.attribute]: change.value });
      case 'move':
        return this.setAttributes(change.profile, { email: this.own(change.email) });
      case 'opt out':
      case 'opt in': {
        const email = this.own(addressOf(change.address));
        const [list = 0] = this.lists;
        // Who is not there yet signs up first, at the destination.
        if (change.do === 'opt in' || sandbox.contact(email) === undefined) {
          sandbox.addContacts([{ email, lists: [list] }]);
          this.destination.optIn(email, list);
        }
        if (change.do === 'opt in') return;
        sandbox.unsubscribe(email, list, change.how);
        this.destination.optOut(email, list);
        return;
      }
      case 'refuse': {
        const email = this.own(addressOf(change.address));
        if (this.destination.refused.has(email)) return;
        sandbox.refuseAddresses({ emails: [email], how: change.how });
        this.destination.refused.set(email, change.how);
        return;
      }
      case 'accept all':
        sandbox.clearFaults();
        sandbox.set({ subscriberLimit: null });
        this.destination.refused.clear();
        this.destination.isFull = false;
        return;
      case 'fill the account':
        sandbox.set({ subscriberLimit: 0 });
        this.destination.isFull = true;
        return;
      case 'segment':
        return this.setSegment(change.segment, change.active);
      case 'policy': {
        const definition = this.exportAt(change.export);
        definition.keepsLeavers = change.keepsLeavers;
        return this.update(change.export, { leavers: change.keepsLeavers ? 'KEEP' : 'UNSUBSCRIBE' });
      }
      case 'hold':
        this.exportAt(change.export).holdPercent = change.percent;
        return this.update(change.export, { leaverHoldPercent: change.percent });
      case 'map': {
        const mapping = MAPPINGS[change.mapping] ?? MAPPINGS[0];
        this.exportAt(change.export).mapping = mapping;
        return this.update(change.export, { mapping: { email: 'email', ...mapping } });
      }
      case 'list': {
        const definition = this.exportAt(change.export);
        if (!definition.attached) return;
        definition.list = this.lists[change.list] ?? 0;
        return this.update(change.export, { listId: String(definition.list) });
      }
      case 'detach':
      case 'attach':
        return this.attach(change.export, change.do === 'attach');
    }
  }

  /** Lets the connection work again after its key did not. */
  async connect(): Promise<void> {
    const { sluice, place } = this;
    await sluice.query('mutation ($id: ID!) { connect(connectionId: $id) { id } }', {
      id: place.connectionId,
    });
  }

  async attach(index: number, attached: boolean): Promise<void> {
    const definition = this.exportAt(index);
    if (definition.attached === attached) return;
    definition.attached = attached;
    const id = this.exportIds[index];
    if (attached) {
      await this.sluice.query(
        'mutation ($id: ID!, $to: ID!) { attachExport(id: $id, connectionId: $to) { id } }',
        {
          id,
          to: this.place.connectionId,
        },
      );
    } else {
      await this.sluice.query('mutation ($id: ID!) { detachExports(ids: [$id]) { id } }', { id });
    }
  }

  private async setUp(): Promise<void> {
    const { sandbox, connectionId } = this.place;
    this.lists = Array.from({ length: LISTS }, (_, index) =>
      sandbox.addList({ name: `${this.name} ${index}` }),
    );
    for (let n = 0; n < SEGMENTS; n += 1) {
      const input = { name: this.segmentName(n), kind: 'STATIC' };
      const { createSegment } = await this.sluice.query<{ createSegment: { id: string } }>(
        'mutation ($input: CreateSegmentInput!) { createSegment(input: $input) { id } }',
        { input },
      );
      this.segmentIds.push(createSegment.id);
    }
    for (let n = 0; n < PROFILES; n += 1) {
      const names = {
        first_name: `First ${n}`,
        last_name: `Last ${n}`,
        nickname: `Nick ${n}`,
        phone: `${n}`,
      };
      await this.setAttributes(n, { email: this.own(addressOf(n)), ...names });
      await this.setMember(n % SEGMENTS, n, true);
    }
    for (const [index, definition] of this.exports.entries()) {
      definition.list = this.lists[0] ?? 0;
      const id = await createExportOf(this.sluice, {
        connectionId,
        name: `${this.name} ${index}`,
        segmentIds: this.segmentIds.slice(index, index + 2),
        listId: String(definition.list),
        leavers: 'UNSUBSCRIBE',
        leaverHoldPercent: 100,
      });
      this.exportIds.push(id);
    }
  }

  private async update(index: number, input: Readonly<Record<string, unknown>>): Promise<void> {
    await this.sluice.query(
      'mutation ($id: ID!, $input: UpdateExportInput!) { updateExport(id: $id, input: $input) { id } }',
      { id: this.exportIds[index], input },
    );
  }

  private async setSegment(index: number, active: boolean): Promise<void> {
    const segment = this.segments[index];
    if (segment === undefined || segment.active === active) return;
    segment.active = active;
    await this.sluice.query(
      'mutation ($id: ID!, $state: SegmentState!) { setSegmentState(id: $id, state: $state) { id } }',
      { id: this.segmentIds[index], state: active ? 'ACTIVE' : 'INACTIVE' },
    );
  }

  private async setMember(index: number, profile: number, isMember: boolean): Promise<void> {
    const members = this.segments[index]?.members ?? new Set();
    if (isMember) members.add(this.profileId(profile));
    else members.delete(this.profileId(profile));
    await this.sluice.importCsv(['id', ...members, ''].join('\n'), { segment: this.segmentName(index) });
  }

  private async setAttributes(profile: number, attributes: Readonly<Record<string, string>>): Promise<void> {
    const id = this.profileId(profile);
    this.model.profiles.set(id, { ...this.model.profiles.get(id), ...attributes });
    const names = Object.keys(attributes);
    await this.sluice.importCsv(
      [['id', ...names], [id, ...names.map((name) => attributes[name])], []]
        .map((row) => row.join(','))
        .join('\n'),
    );
  }

  exportAt(index: number): ModelExport {
    const definition = this.exports[index];
    if (definition === undefined) throw new Error(`There is no export ${index}.`);
    return definition;
  }

  private profileId(n: number): string {
    return `${this.name}-p${n}`;
  }

  private segmentName(n: number): string {
    return `${this.name} segment ${n}`;
  }

  own(email: string): string {
    return email.replace('%', `-${this.name}`);
  }

  private get sluice(): Sluice {
    return this.place.sluice();
  }
}
