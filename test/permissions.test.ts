import 'reflect-metadata';
import {
  buildSchema,
  getNamedType,
  isIntrospectionType,
  isLeafType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { readFileSync } from 'node:fs';
import type { Sandbox } from '../sandbox/sandbox.js';
import { Role } from '../src/entities/user.js';
import { resolvers } from '../src/resolvers/resolvers.js';
import { guardFields } from '../src/schema/guard-fields.js';
import { createSchema } from '../src/schema/schema.js';
import {
  FIELDS,
  GUARDED_TYPES,
  OPEN_TYPES,
  type FieldRule,
  type GuardedField,
  type GuardedType,
} from '../src/security/field-permissions.js';
import { OPERATIONS, type Operation, type Rule } from '../src/security/permissions.js';
import {
  EMPTY_FIELDS,
  makeWorlds,
  OPERATION_OF,
  SAMPLES,
  STATE_FORBIDS,
  WAYS,
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
  ...['setRefreshSchedule', 'runRefresh'].map(mutation),
];
const EVERYBODY = [
  ...['me', 'profileCount', 'profileAttributes', 'segments', 'segment', 'consentStatement'].map(query),
  ...['exports', 'export', 'exportRuns', 'exportRun'].map(query),
  ...['refreshSchedule', 'refreshes', 'triggers'].map(query),
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
    const expected = [
      ...[
        'approveExportRun',
        'attachExport',
        'cancelExportRun',
        'connection',
        'createExport',
        'destinationLists',
      ],
      ...['createTrigger', 'rotateTriggerSecret', 'setTriggerEnabled', 'removeTrigger'],
      ...['scheduleExports', 'enableSchedules'],
      ...['duplicateExport', 'planExport', 'removeExport', 'runExport', 'updateExport'],
    ];
    expect(through.sort()).toEqual(expected.sort());
  });
});

/** The issue in words, apart from the table that the server reads. */
const FOR_ALL_WHO_SEE_THE_EXPORT = ['id', 'displayName', 'kind', 'state'];
const OF_ADMINISTRATORS = [
  ...['host', 'apiKeyHint', 'consent', 'consentDueAt', 'exportUser', 'checkedAt', 'problem', 'updatedBy'],
];

const objectTypes = Object.values(schema.getTypeMap())
  .filter(isObjectType)
  .filter((type) => !isIntrospectionType(type) && !roots.includes(type));
const fieldsOf = (type: string): string[] => {
  const found = objectTypes.find(({ name }) => name === type);
  return Object.keys(found?.getFields() ?? {}).map((field) => `${type}.${field}`);
};

describe('the table of field permissions', () => {
  it('puts every object type among those that are guarded or those that are open', () => {
    expect([...GUARDED_TYPES, ...OPEN_TYPES].sort()).toEqual(objectTypes.map(({ name }) => name).sort());
  });

  it.each(GUARDED_TYPES)('has a rule for every field of %s, and for no other', (type) => {
    const named = Object.keys(FIELDS).filter((name) => name.startsWith(`${type}.`));
    expect(named.sort()).toEqual(fieldsOf(type).sort());
  });

  it('opens no type that leads to a guarded one, but for pages of them', () => {
    const leading = OPEN_TYPES.filter((name) => !name.endsWith('Page')).filter((name) =>
      Object.values(objectTypes.find((type) => type.name === name)?.getFields() ?? {}).some((field) =>
        (GUARDED_TYPES as readonly string[]).includes(getNamedType(field.type).name),
      ),
    );
    expect(leading).toEqual([]);
  });

  it('says null only of fields that may be null', () => {
    const rules = Object.entries(FIELDS as Record<string, FieldRule>);
    const wrong = rules.filter(([name, { least, otherwise, ofUsableConnection }]) => {
      const [type = '', field = ''] = name.split('.');
      const found = objectTypes.find((one) => one.name === type)?.getFields()[field];
      // Whoever may use a connection is at least a contributor.
      const isNullToSome = ofUsableConnection ? least === Role.ADMINISTRATOR : least !== Role.VIEWER;
      return isNullToSome && otherwise === undefined && (found === undefined || isNonNullType(found.type));
    });
    expect(wrong).toEqual([]);
  });

  it('says of a connection what was promised', () => {
    const rules = Object.entries(FIELDS as Record<string, FieldRule>).flatMap(([name, rule]) =>
      name.startsWith('Connection.') ? [[name.replace('Connection.', ''), rule] as const] : [],
    );
    const open = rules.filter(([, rule]) => rule.ofUsableConnection === undefined);
    expect(open.map(([name]) => name).sort()).toEqual([...FOR_ALL_WHO_SEE_THE_EXPORT].sort());
    expect(open.every(([, { least }]) => least === Role.VIEWER)).toBe(true);
    const administrators = rules.filter(([, { least }]) => least === Role.ADMINISTRATOR);
    expect(administrators.map(([name]) => name).sort()).toEqual([...OF_ADMINISTRATORS].sort());
  });

  it('keeps a server from starting whose schema has a field or a type without a rule', async () => {
    const made = await createSchema(resolvers);
    const connection = made.getType('Connection');
    if (!isObjectType(connection)) throw new Error('There is no Connection.');
    const { host } = connection.getFields();
    if (host === undefined) throw new Error('There is no host.');
    const fields = connection.getFields();
    fields.secret = { ...host, name: 'secret' };
    expect(() => {
      guardFields(made);
    }).toThrow('Connection.secret has no rule in security/field-permissions.ts.');
    delete fields.secret;
    made.getTypeMap().Secret = Object.assign(Object.create(connection) as typeof connection, {
      name: 'Secret',
    });
    expect(() => {
      guardFields(made);
    }).toThrow('Secret must be either in GUARDED_TYPES or in OPEN_TYPES');
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

  it.each(fieldCases())(
    '$field as $role, $sharing: $expected',
    async ({ field, role, sharing, expected }) => {
      const [type = '', name = ''] = field.split('.');
      const way = WAYS[type as GuardedType];
      const { document, variables } = await way(selectionOf(field))(worldOf(sharing));
      const answer = await people.get(role)?.request(document, variables);
      const errors = answer?.body.errors ?? [];
      const found = JSON.stringify(answer?.body.data);
      if (expected === 'FORBIDDEN') {
        expect(errors.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
        expect(errors[0]?.path?.at(-1)).toBe(
          type === 'Consent' ? 'consent' : nameInError(type, name, role, sharing),
        );
        return;
      }
      expect(errors).toEqual([]);
      if (expected === 'null') expect(found).toMatch(new RegExp(`"${name}":null|"consent":null`));
      else if (!EMPTY_FIELDS.includes(field)) expect(found).toMatch(new RegExp(`"${name}":(?!null)`));
    },
  );

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

interface FieldCase {
  readonly field: GuardedField;
  readonly role: RoleName;
  readonly sharing: Sharing;
  readonly expected: 'shown' | 'null' | 'FORBIDDEN';
}

/** Every guarded field × role × sharing, with what the tables let expect. */
function fieldCases(): FieldCase[] {
  return (Object.keys(FIELDS) as GuardedField[]).flatMap((field) =>
    ROLES.flatMap((role) =>
      (['shared', 'not shared'] as const).map((sharing) => {
        return { field, role, sharing, expected: expectedOfField(field, role, sharing) };
      }),
    ),
  );
}

function expectedOfField(field: GuardedField, role: RoleName, sharing: Sharing): FieldCase['expected'] {
  const [type = ''] = field.split('.');
  if (isStoppedOnTheWay(type, role, sharing)) return 'FORBIDDEN';
  // A consent is reached through a field of the connection.
  const { least, otherwise, ofUsableConnection }: FieldRule =
    FIELDS[type === 'Consent' ? 'Connection.consent' : field];
  if (ofUsableConnection && !mayUseIn(role, sharing)) return 'FORBIDDEN';
  return ROLES.indexOf(role) < ROLES.indexOf(least) ? (otherwise ?? 'null') : 'shown';
}

function isStoppedOnTheWay(type: string, role: RoleName, sharing: Sharing): boolean {
  const operation = OPERATION_OF[type as GuardedType];
  return operation !== undefined && expectedOf(operation, role, sharing) !== 'ALLOWED';
}

function mayUseIn(role: RoleName, sharing: Sharing): boolean {
  return role === 'ADMINISTRATOR' || (role === 'CONTRIBUTOR' && sharing === 'shared');
}

/** Where the error stands: at the operation for whoever may not call it, at the field for the others. */
function nameInError(type: string, name: string, role: RoleName, sharing: Sharing): string {
  const operation = OPERATION_OF[type as GuardedType];
  return operation !== undefined && isStoppedOnTheWay(type, role, sharing)
    ? operation.replace(/^.*\./, '')
    : name;
}

/** The field, with what has to be asked for inside it. */
function selectionOf(field: string): string {
  const [type = '', name = ''] = field.split('.');
  const found = objectTypes.find((one) => one.name === type)?.getFields()[name];
  return found === undefined || isLeafType(getNamedType(found.type)) ? name : `${name} { __typename }`;
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
