import { readFileSync } from 'node:fs';
import {
  buildSchema,
  isLeafType,
  isNonNullType,
  isObjectType,
  getNamedType,
  type GraphQLObjectType,
} from 'graphql';
import { connectIn, storedIn } from './helpers/databases.js';
import { connectionCalls } from './helpers/connection-calls.js';
import { exportOf, runFully, startEngine, type Engine } from './helpers/engine.js';
import { AUDIENCE, startIssuer, type TestIssuer } from './helpers/issuer.js';
import { SAMPLES, type GraphQLOperation, type World } from './helpers/operations.js';
import { auditOf, newTokenOf, newUser, revoke, ROLES, signedInAs } from './helpers/people.js';
import { RawClient } from './helpers/raw-client.js';
import { bearer, type Sluice } from './helpers/sluice.js';
import { segmentNamed } from './helpers/flows.js';

/** Words that occur nowhere else; each is planted in the place that its name says. */
const EMAIL = 'canary.person@example.com';
const BAD_EMAIL = 'canary-refused@example';
const PHONE = '+49-555-canary-0173';
const KEY = 'canary-api-key-of-the-account-000';
const WRONG_KEY = 'canary-wrong-api-key-000000000';
const PERSONAL = [EMAIL, BAD_EMAIL, PHONE];

const schema = buildSchema(readFileSync('src/schema/schema.graphql', 'utf8'));
/** The fields that may show what people hold, to contributors and administrators. */
const MAY_SHOW = ['Rejection.email', 'Rejection.detail', 'ProfileAttribute.sample'];

/** A refusal of one of them would make the whole answer null. */
const FOR_ADMINISTRATORS = ['Query.users', 'Query.auditEvents'];

/** Everything that can be asked for without arguments, three things deep, but for the fields named. */
function everything(without: readonly string[]): string {
  const select = (type: GraphQLObjectType, depth: number): string => {
    const fields = Object.values(type.getFields()).flatMap((field) => {
      if (without.includes(`${type.name}.${field.name}`)) return [];
      if (field.args.some((argument) => isNonNullType(argument.type))) return [];
      const answer = getNamedType(field.type);
      if (isLeafType(answer)) return [field.name];
      if (!isObjectType(answer) || depth === 0) return [];
      const inner = select(answer, depth - 1);
      return inner === '' ? [] : [`${field.name} { ${inner} }`];
    });
    return fields.join(' ');
  };
  const query = schema.getQueryType();
  return query ? `{ ${select(query, 5)} }` : '';
}

interface Scene {
  readonly engine: Engine;
  readonly issuer: TestIssuer;
  readonly readers: ReadonlyMap<string, Sluice>;
  /** All bodies of answers that were not asked for by `everything`. */
  readonly answers: string[];
  /** Tokens that were shown to whoever asked for them, and to nobody else. */
  readonly tokens: string[];
}

/** Lets everything happen in which a secret, or what people hold, could slip out. */
async function play(engine: Engine, issuer: TestIssuer): Promise<Scene> {
  const { sluice, sandbox, connectionId } = engine;
  const answers: string[] = [];
  const tokens = [sandbox.token, sluice.token];
  const ask = async (reader: Sluice, document: string, variables?: Record<string, unknown>) => {
    answers.push(JSON.stringify((await reader.request(document, variables)).body));
  };

  // People who arrive, who are refused before and by the destination, and a file that is none.
  sandbox.refuseAddresses({ emails: [EMAIL], how: 'named', reason: `${EMAIL} is not wanted` });
  const csv = `id,email,phone,first_name\n1,${EMAIL},${PHONE},Ann\n2,${BAD_EMAIL},${PHONE},Bob\n3,${EMAIL},${PHONE},Cy\n`;
  const exportId = await exportOf(engine, csv, { mapping: { email: 'email', phone: 'phone' } });
  const { id: runId } = await runFully(sluice, exportId);
  for (const body of [`${EMAIL},${PHONE}\n`, `id\n1,${EMAIL},"${PHONE}\n`]) {
    await fetch(`${sluice.url}/profiles?id=id`, {
      method: 'PUT',
      headers: { 'content-type': 'text/csv', ...bearer(sluice.token) },
      body,
    });
  }

  // Keys: entered, wrong, out of bounds, in the wrong place.
  const calls = connectionCalls(sluice);
  const { id } = await calls.create({ host: sandbox.host, apiKey: KEY });
  await calls.giveConsent(id);
  await calls.connect(id).catch(() => undefined);
  await calls.update(id, { apiKey: WRONG_KEY });
  await ask(
    sluice,
    'mutation ($input: UpdateConnectionInput!) { updateConnection(id: "x", input: $input) { id } }',
    {
      input: { apiKey: { nested: KEY } },
    },
  );
  await ask(sluice, 'mutation ($id: ID!) { updateConnection(id: $id, input: { apiKey: "a b" }) { id } }', {
    id: KEY,
  });
  await ask(sluice, 'mutation ($id: ID!) { removeConnection(id: $id) }', { id: KEY });
  await ask(sluice, 'mutation ($ids: [ID!]!) { removeProfiles(ids: $ids) }', { ids: [EMAIL] });

  // Sign-ins: good, revoked, expired, garbled, by both doors.
  const userId = await newUser(sluice, 'VIEWER');
  const revoked = await newTokenOf(sluice, userId);
  await revoke(sluice, revoked.id);
  const jwts = [await issuer.sign({ exp: 1 }), await issuer.sign({ aud: 'other' }), await issuer.sign({})];
  tokens.push(revoked.token, ...jwts);
  for (const token of [revoked.token, `${revoked.token}x`, ...jwts]) {
    await ask(sluice.as(token), '{ me { id } }');
    const socket = new RawClient(sluice);
    await socket.init(`Bearer ${token}`);
    await Promise.race([socket.closed, socket.next().catch(() => undefined)]);
    socket.socket.close();
  }

  const readers = new Map<string, Sluice>();
  for (const role of ROLES) readers.set(role, await signedInAs(sluice, role));
  for (const reader of readers.values()) tokens.push(reader.token);
  const segmentId = await segmentNamed(sluice, 'All');
  const world: World = { sluice, sandbox, segmentId, connectionId, exportId, runId, shared: false };
  for (const operation of Object.keys(SAMPLES) as GraphQLOperation[]) {
    const { document, variables } = await SAMPLES[operation](world);
    for (const reader of readers.values()) await ask(reader, document, variables);
  }
  return { engine, issuer, readers, answers, tokens };
}

describe('what must not slip out', () => {
  let scene: Scene;
  beforeAll(async () => {
    const issuer = await startIssuer();
    const engine = await startEngine({
      sluice: {
        env: { LOG_LEVEL: 'trace', OIDC_ISSUER: issuer.url, OIDC_AUDIENCE: AUDIENCE },
        // It asks for everything at once.
        limits: { depth: 100, aliases: 100, tokens: 100_000, cost: Infinity },
      },
    });
    scene = await play(engine, issuer);
  }, 120_000);
  afterAll(async () => {
    await scene.engine[Symbol.asyncDispose]();
    await scene.issuer[Symbol.asyncDispose]();
  });

  /** Of these words, those that occur in the text. */
  const found = (words: readonly string[], text: string) => words.filter((word) => text.includes(word));
  const secrets = () => [KEY, WRONG_KEY, ...scene.tokens];

  it('is alive: the fields that may show it do', async () => {
    const { body } = await scene.engine.sluice.request(everything([]));
    expect(body.errors).toBeUndefined();
    expect(found([EMAIL, BAD_EMAIL], JSON.stringify(body))).toEqual([EMAIL, BAD_EMAIL]);
    expect(scene.engine.sluice.log.length).toBeGreaterThan(10);
  });

  it('is in no log: secrets at no level, and what people hold at none from info up', () => {
    const { log } = scene.engine.sluice;
    expect(found(secrets(), JSON.stringify(log))).toEqual([]);
    const fromInfoUp = log.filter(({ level }) => Number(level) >= 30);
    expect(found(PERSONAL, JSON.stringify(fromInfoUp))).toEqual([]);
  });

  it('is in no error and no other answer', () => {
    const shownOnce = /"token":"slu_[\w-]+"/g;
    const text = scene.answers.join('\n').replace(shownOnce, '');
    expect(found([...secrets(), ...PERSONAL], text)).toEqual([]);
  });

  it('is in no row of the audit trail', async () => {
    expect((await auditOf(scene.engine.sluice)).length).toBe(100);
    await using source = await connectIn(scene.engine.sluice.folder);
    const rows = await source.query<Record<string, unknown>[]>('SELECT * FROM "audit_events"');
    expect(rows.length).toBeGreaterThan(150);
    expect(found([...secrets(), ...PERSONAL], JSON.stringify(rows))).toEqual([]);
  });

  it.each(ROLES)('is in nothing that a %s can read, but for the fields that may show it', async (role) => {
    const { body } = await (scene.readers
      .get(role)
      ?.request(everything([...MAY_SHOW, ...(role === 'ADMINISTRATOR' ? [] : FOR_ADMINISTRATORS)])) ??
      Promise.reject(new Error(role)));
    expect(JSON.stringify(body)).toContain('"exportRuns"');
    expect(found([...secrets(), ...PERSONAL], JSON.stringify(body))).toEqual([]);
  });

  it('is in nothing at all that a viewer can read', async () => {
    const { body } = await (scene.readers.get('VIEWER')?.request(everything(FOR_ADMINISTRATORS)) ??
      Promise.reject(new Error('viewer')));
    expect(JSON.stringify(body)).toContain('"exportRuns"');
    expect(found([...secrets(), ...PERSONAL], JSON.stringify(body))).toEqual([]);
  });

  it('lies in the database sealed or hashed, if it is a secret', async () => {
    expect(found(secrets(), await storedIn(scene.engine.sluice.folder))).toEqual([]);
  });
});
