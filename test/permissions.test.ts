import { buildSchema } from 'graphql';
import { readFileSync } from 'node:fs';
import type { Sandbox } from '../sandbox/sandbox.js';
import { Role } from '../src/entities/user.js';
import {
  FIELDS,
  OPERATIONS,
  type FieldRule,
  type GuardedField,
  type Operation,
  type Rule,
} from '../src/security/permissions.js';
import {
  EMPTY_FIELDS,
  FIELD_SAMPLES,
  makeWorlds,
  SAMPLES,
  STATE_FORBIDS,
  type GraphQLOperation,
  type World,
} from './helpers/operations.js';
import { ROLES, signedInAs, type RoleName } from './helpers/people.js';
import { RawClient, type Message } from './helpers/raw-client.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { bearer, startSluice, type GraphQLFailure, type Sluice } from './helpers/sluice.js';

const schema = buildSchema(readFileSync('src/schema/schema.graphql', 'utf8'));
const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
const rootFields = roots.flatMap((type) =>
  Object.keys(type?.getFields() ?? {}).map((field) => `${type?.name ?? ''}.${field}`),
);

/** The issue in words, apart from the table that the server reads. */
const ADMINISTRATORS_ALONE = [
  ...['Query.users', 'Query.apiTokens', 'Query.auditEvents'],
  ...['createUser', 'setUserRole', 'setUserDisabled', 'issueApiToken', 'revokeApiToken'].map(mutation),
  ...['createConnection', 'updateConnection', 'shareConnection', 'connect', 'removeConnection'].map(mutation),
  ...['giveConsent', 'withdrawConsent', 'becomeExportUser', 'detachExports'].map(mutation),
];
const EVERYBODY = [
  ...['me', 'profileCount', 'profileAttributes', 'segments', 'segment', 'consentStatement'].map(query),
  ...['exports', 'export', 'exportRuns', 'exportRun'].map(query),
  'Subscription.exportRunChanged',
];

function query(name: string): string {
  return `Query.${name}`;
}

function mutation(name: string): string {
  return `Mutation.${name}`;
}

describe('the table of permissions', () => {
  it('has a rule for every field of Query, Mutation and Subscription, and for nothing else', () => {
    expect(
      Object.keys(OPERATIONS)
        .filter((name) => name !== 'PUT /profiles')
        .sort(),
    ).toEqual(rootFields.sort());
  });

  it('says who may do what as it was promised', () => {
    const withLeast = (role: Role) =>
      Object.entries(OPERATIONS as Record<string, Rule>).flatMap(([name, { least }]) =>
        least === role ? [name] : [],
      );
    expect(withLeast(Role.ADMINISTRATOR).sort()).toEqual([...ADMINISTRATORS_ALONE].sort());
    expect(withLeast(Role.VIEWER).sort()).toEqual([...EVERYBODY].sort());
  });

  it('asks for a shared connection wherever an export is made, changed or run', () => {
    const through = Object.entries(OPERATIONS as Record<string, Rule>).flatMap(([name, rule]) =>
      rule.through === undefined ? [] : [name.replace(/^.*\./, '')],
    );
    expect(through.sort()).toEqual([
      ...[
        'approveExportRun',
        'attachExport',
        'cancelExportRun',
        'connection',
        'createExport',
        'destinationLists',
      ],
      ...['duplicateExport', 'planExport', 'removeExport', 'runExport', 'updateExport'],
    ]);
  });

  it('hides only fields that there are, and that may be null', () => {
    const typeOf = (name: string) => {
      const [type = '', field = ''] = name.split('.');
      const found = schema.getType(type);
      return found && 'getFields' in found ? String(found.getFields()[field]?.type) : 'none';
    };
    const wrong = Object.keys(FIELDS).filter((name) => /!$|undefined|none/.test(typeOf(name)));
    expect(wrong).toEqual([]);
  });
});

describe('what is allowed', () => {
  let sandbox: Sandbox & AsyncDisposable;
  let sluice: Sluice;
  let worlds: World[];
  const people = new Map<RoleName, Sluice>();

  beforeAll(async () => {
    // Long enough for a hint of it.
    sandbox = await startTestSandbox({ tokens: ['a-key-of-the-sandbox-account'] });
    sluice = await startSluice({ sandbox });
    worlds = await makeWorlds(sluice, sandbox);
    for (const role of ROLES) people.set(role, await signedInAs(sluice, role));
  }, 120_000);

  afterAll(async () => {
    await sluice.stop();
    await sandbox[Symbol.asyncDispose]();
  });

  const worldOf = (sharing: Sharing): World => {
    const world = worlds.find(({ shared }) => shared === (sharing === 'shared'));
    if (world === undefined) throw new Error('There is no such world.');
    return world;
  };

  it.each(cases())(
    'over HTTP $operation as $role, $sharing: $expected',
    async ({ operation, role, sharing, expected }) => {
      const { document, variables } = await SAMPLES[operation](worldOf(sharing));
      const answer = await people.get(role)?.request(document, variables);
      const code = answer?.body.errors?.[0]?.extensions.code;
      if (operation.startsWith('Subscription.')) return;
      expect(code).toBe(expected === 'ALLOWED' ? STATE_FORBIDS[operation] : codeIn(expected));
      if (expected === 'EMPTY') expect(answer?.body.data).toEqual({ connections: { totalCount: 0 } });
    },
  );

  it.each(cases())(
    'over WebSocket $operation as $role, $sharing: $overWebSocket',
    async ({ operation, role, sharing, overWebSocket }) => {
      const { document, variables } = await SAMPLES[operation](worldOf(sharing));
      const client = new RawClient(sluice);
      await client.init(`Bearer ${people.get(role)?.token ?? ''}`);
      await client.next();
      const message = await client.subscribe(document, variables);
      client.socket.close();
      expect(codeOf(message)).toBe(overWebSocket === 'ALLOWED' ? undefined : overWebSocket);
    },
  );

  it.each(fieldCases())('$field as $role: $expected', async ({ field, role, expected }) => {
    const { document, variables } = await FIELD_SAMPLES[field](worldOf('shared'));
    const answer = await people.get(role)?.request(document, variables);
    expect(answer?.body.errors).toBeUndefined();
    const [, name = ''] = field.split('.');
    const found = JSON.stringify(answer?.body.data);
    if (expected === 'null' || EMPTY_FIELDS.includes(field)) expect(found).toContain(`"${name}":null`);
    else expect(found).not.toContain(`"${name}":null`);
  });

  it.each(ROLES)('PUT /profiles as %s', async (role) => {
    const response = await fetch(`${sluice.url}/profiles?id=id`, {
      method: 'PUT',
      headers: { 'content-type': 'text/csv', ...bearer(people.get(role)?.token ?? null) },
      body: 'id,email\n1,ann@example.com\n',
    });
    expect(response.status).toBe(role === 'VIEWER' ? 403 : 200);
    if (role !== 'VIEWER') return;
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: 'FORBIDDEN' } }] });
  });
});

type Sharing = 'shared' | 'not shared';
type Expected = 'ALLOWED' | 'FORBIDDEN' | 'NOT_FOUND' | 'EMPTY';

/** Every guarded field × role, with what the table lets expect. */
function fieldCases(): { field: GuardedField; role: RoleName; expected: 'shown' | 'null' }[] {
  return (Object.keys(FIELDS) as GuardedField[]).flatMap((field) =>
    ROLES.map((role) => {
      const { least }: FieldRule = FIELDS[field];
      return {
        field,
        role,
        expected: ROLES.indexOf(role) < ROLES.indexOf(least) ? 'null' : 'shown',
      } as const;
    }),
  );
}

/** Every operation × role × sharing, with what the table lets expect. */
function cases(): {
  operation: GraphQLOperation;
  role: RoleName;
  sharing: Sharing;
  expected: Expected;
  overWebSocket: string;
}[] {
  const operations = Object.keys(SAMPLES) as GraphQLOperation[];
  return operations.flatMap((operation) =>
    ROLES.flatMap((role) =>
      (['shared', 'not shared'] as const).map((sharing) => {
        const expected = expectedOf(operation, role, sharing);
        const isSubscription = operation.startsWith('Subscription.');
        const overWebSocket = isSubscription ? expected : 'OPERATION_RESOLUTION_FAILURE';
        return { operation, role, sharing, expected, overWebSocket };
      }),
    ),
  );
}

function expectedOf(operation: Operation, role: RoleName, sharing: Sharing): Expected {
  const { least, through, otherwise }: Rule = OPERATIONS[operation];
  if (ROLES.indexOf(role) < ROLES.indexOf(least)) return otherwise ?? 'FORBIDDEN';
  if (role === 'ADMINISTRATOR' || through === undefined || sharing === 'shared') return 'ALLOWED';
  // A connection is known only to whom it is shared with; an export is known to everybody.
  return through.every((thing) => thing === 'connection') ? 'NOT_FOUND' : 'FORBIDDEN';
}

function codeIn(expected: Expected): string | undefined {
  return expected === 'ALLOWED' || expected === 'EMPTY' ? undefined : expected;
}

function codeOf({ type, payload }: Message): string | undefined {
  if (type === 'next') return (payload as { errors?: GraphQLFailure[] }).errors?.[0]?.extensions.code;
  return (payload as GraphQLFailure[])[0]?.extensions.code;
}
