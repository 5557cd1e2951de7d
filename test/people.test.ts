import { once } from 'node:events';
import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { refusalOf } from './helpers/connection-calls.js';
import { createManualClock } from './helpers/manual-clock.js';
import {
  auditOf,
  newTokenOf,
  newUser,
  revoke,
  setDisabled,
  setRole,
  signedInAs,
  type RoleName,
} from './helpers/people.js';
import { RawClient } from './helpers/raw-client.js';
import { startSluice, temporaryFolder, TEST_TOKEN, type Sluice } from './helpers/sluice.js';

const FIRST_ADMINISTRATOR = '00000000-0000-7000-8000-000000000000';

interface UserRow {
  readonly id: string;
  readonly displayName: string;
  readonly email: string | null;
  readonly kind: string;
  readonly role: RoleName;
  readonly disabled: boolean;
}

async function users(sluice: Sluice): Promise<UserRow[]> {
  const { users: page } = await sluice.query<{ users: { nodes: UserRow[] } }>(
    '{ users(first: 100) { nodes { id displayName email kind role disabled } } }',
  );
  return page.nodes;
}

const create = (sluice: Sluice, input: Record<string, unknown>) =>
  sluice.query<{ createUser: UserRow }>(
    'mutation ($input: CreateUserInput!) { createUser(input: $input) { id displayName email kind role disabled } }',
    { input },
  );

/** A socket that was let in with this token. */
async function socketWith(sluice: Sluice, token: string): Promise<RawClient> {
  const client = new RawClient(sluice);
  await client.init(`Bearer ${token}`);
  expect(await client.next()).toEqual({ type: 'connection_ack' });
  return client;
}

/** A client that is let in with this token and then answers nothing any more, not even a close. */
async function stubbornSocket(sluice: Sluice, token: string): Promise<Duplex> {
  const handshake = request(`${sluice.url}/graphql`, {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16, 'x').toString('base64'),
      'sec-websocket-protocol': 'graphql-transport-ws',
    },
  }).end();
  const [, socket] = (await once(handshake, 'upgrade')) as [unknown, Duplex];
  const payload = { authorization: `Bearer ${token}` };
  const text = Buffer.from(JSON.stringify({ type: 'connection_init', payload }));
  // RFC 6455, 5.2: a text frame of less than 126 bytes, masked with zeros.
  expect(text.length).toBeLessThan(126);
  socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]));
  // The acknowledgement; from now on it reads and says nothing.
  await once(socket, 'data');
  socket.resume();
  return socket;
}

const statusWith = async (sluice: Sluice, token: string) =>
  (await sluice.request('{ me { id } }', {}, { token })).status;

describe('users', () => {
  it('are made with one role, and listed in the order of their making', async () => {
    await using sluice = await startSluice();
    await create(sluice, { displayName: '  Ann  ', email: 'ann@example.com', role: 'CONTRIBUTOR' });
    await create(sluice, { displayName: 'Nightly job', kind: 'APPLICATION', role: 'VIEWER' });
    expect(await users(sluice)).toMatchObject([
      { id: FIRST_ADMINISTRATOR, role: 'ADMINISTRATOR' },
      { displayName: 'Ann', email: 'ann@example.com', kind: 'PERSON', role: 'CONTRIBUTOR', disabled: false },
      { displayName: 'Nightly job', email: null, kind: 'APPLICATION', role: 'VIEWER' },
    ]);
  });

  it.each([
    [{ displayName: ' ' }, 'displayName'],
    [{ displayName: 'x'.repeat(201) }, 'displayName'],
    [{ displayName: 'a\u0007b' }, 'displayName'],
    [{ displayName: '\u200b\u200e' }, 'displayName'],
    [{ email: 'nobody' }, 'email'],
    [{ email: `${'x'.repeat(250)}@example.com` }, 'email'],
    [{ email: 'a b@example.com' }, 'email'],
    [{ email: 'an\u200bn@example.com' }, 'email'],
  ])('are refused with %j, by the name of the field', async (wrong, field) => {
    await using sluice = await startSluice();
    const refusal = await refusalOf(create(sluice, { displayName: 'Ann', role: 'VIEWER', ...wrong }));
    expect(refusal).toMatchObject({ code: 'BAD_USER_INPUT', field, remedy: expect.any(String) as string });
  });

  it('cannot lose the last administrator, by demotion or by disabling', async () => {
    await using sluice = await startSluice();
    await newUser(sluice, 'CONTRIBUTOR');
    for (const attempt of [
      setRole(sluice, FIRST_ADMINISTRATOR, 'VIEWER'),
      setDisabled(sluice, FIRST_ADMINISTRATOR, true),
    ]) {
      expect(await refusalOf(attempt)).toMatchObject({ code: 'CONFLICT' });
    }
    const disabled = await newUser(sluice, 'ADMINISTRATOR');
    await setDisabled(sluice, disabled, true);
    expect(await refusalOf(setRole(sluice, FIRST_ADMINISTRATOR, 'VIEWER'))).toMatchObject({
      code: 'CONFLICT',
    });
  });

  it('keep one administrator also when two of them demote each other at once', async () => {
    await using sluice = await startSluice();
    const other = await signedInAs(sluice, 'ADMINISTRATOR');
    const outcomes = await Promise.allSettled([
      setRole(sluice, other.userId, 'VIEWER'),
      setRole(other, FIRST_ADMINISTRATOR, 'VIEWER'),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const left = [sluice, other].map(({ token }) =>
      sluice.request('{ users { totalCount } }', {}, { token }),
    );
    const codes = (await Promise.all(left)).map(({ body }) => body.errors?.[0]?.extensions.code);
    expect(codes.sort()).toEqual(['FORBIDDEN', undefined]);
  });

  it('keep out whoever is disabled, until they are enabled again', async () => {
    await using sluice = await startSluice();
    const viewer = await signedInAs(sluice, 'VIEWER');
    await setDisabled(sluice, viewer.userId, true);
    const { status, body } = await viewer.request('{ me { id } }');
    expect(status).toBe(401);
    expect(body.errors).toMatchObject([{ message: 'The user is disabled.' }]);
    await setDisabled(sluice, viewer.userId, false);
    expect(await statusWith(sluice, viewer.token)).toBe(200);
  });

  it('have the new role at the next request', async () => {
    await using sluice = await startSluice();
    const viewer = await signedInAs(sluice, 'VIEWER');
    await setRole(sluice, viewer.userId, 'ADMINISTRATOR');
    expect((await users(viewer)).length).toBe(2);
  });

  it('show their address to administrators and themselves alone', async () => {
    await using sluice = await startSluice();
    const { createUser } = await create(sluice, {
      displayName: 'Ann',
      email: 'ann@example.com',
      role: 'CONTRIBUTOR',
    });
    const ann = sluice.as((await newTokenOf(sluice, createUser.id)).token);
    expect(await ann.query('{ me { email } }')).toEqual({ me: { email: 'ann@example.com' } });
    expect((await users(sluice)).map(({ email }) => email)).toContain('ann@example.com');
  });

  it.each(['nobody', FIRST_ADMINISTRATOR.replace(/0$/, '1')])(
    'that do not exist are NOT_FOUND: %s',
    async (id) => {
      await using sluice = await startSluice();
      for (const attempt of [
        setRole(sluice, id, 'VIEWER'),
        setDisabled(sluice, id, true),
        newTokenOf(sluice, id),
      ]) {
        expect(await refusalOf(attempt)).toMatchObject({
          code: 'NOT_FOUND',
          message: 'There is no such user.',
        });
      }
    },
  );
});

describe('an API token', () => {
  it('is shown once, and never again', async () => {
    await using sluice = await startSluice();
    const userId = await newUser(sluice, 'VIEWER');
    const { token, id } = await newTokenOf(sluice, userId);
    expect(token).toMatch(/^slu_[\w-]{49}$/);
    expect(await statusWith(sluice, token)).toBe(200);
    const { apiTokens } = await sluice.query<{ apiTokens: { nodes: Record<string, unknown>[] } }>(
      `query ($userId: ID!) { apiTokens(userId: $userId) {
        nodes { id name hint expiresAt lastUsedAt revokedAt createdAt } } }`,
      { userId },
    );
    expect(apiTokens.nodes).toMatchObject([{ id, name: 'Tests', hint: token.slice(-4), revokedAt: null }]);
    expect(JSON.stringify([apiTokens, await auditOf(sluice), sluice.log])).not.toContain(token);
  });

  it('ends at its expiry, to the millisecond', async () => {
    const clock = createManualClock();
    await using sluice = await startSluice({ clock });
    const { token } = await newTokenOf(
      sluice,
      await newUser(sluice, 'VIEWER'),
      new Date(clock.now() + 60_000),
    );
    await clock.pass(59_999);
    expect(await statusWith(sluice, token)).toBe(200);
    await clock.pass(1);
    const { status, body } = await sluice.request('{ me { id } }', {}, { token });
    expect({ status, message: body.errors?.[0]?.message }).toEqual({
      status: 401,
      message: 'The token has expired.',
    });
  });

  it('closes its sockets at its expiry', async () => {
    const clock = createManualClock();
    await using sluice = await startSluice({ clock });
    const days = 60 * 24 * 60 * 60_000;
    const { token } = await newTokenOf(sluice, await newUser(sluice, 'VIEWER'), new Date(clock.now() + days));
    const socket = await socketWith(sluice, token);
    await clock.pass(days - 1);
    expect(socket.socket.readyState).toBe(socket.socket.OPEN);
    await clock.pass(1);
    expect(await socket.closed).toEqual({ code: 4403, reason: 'The token has expired.' });
  });

  it('cannot expire in the past, and has a name of 1 to 200 characters', async () => {
    await using sluice = await startSluice();
    const userId = await newUser(sluice, 'VIEWER');
    expect(await refusalOf(newTokenOf(sluice, userId, new Date(0)))).toMatchObject({ field: 'expiresAt' });
    const issue = (name: string) =>
      sluice.query(
        'mutation ($id: ID!, $name: String!) { issueApiToken(userId: $id, name: $name) { token } }',
        {
          id: userId,
          name,
        },
      );
    for (const name of ['', 'x'.repeat(201), 'a\nb', 'SLUICE_ADMIN_TOKEN']) {
      expect(await refusalOf(issue(name))).toMatchObject({ code: 'BAD_USER_INPUT', field: 'name' });
    }
  });

  it('is not issued to somebody who is disabled', async () => {
    await using sluice = await startSluice();
    const userId = await newUser(sluice, 'VIEWER');
    await setDisabled(sluice, userId, true);
    expect(await refusalOf(newTokenOf(sluice, userId))).toMatchObject({ code: 'CONFLICT', field: 'userId' });
  });

  it('that is revoked lets nobody in any more, and closes its sockets and no others', async () => {
    await using sluice = await startSluice();
    const userId = await newUser(sluice, 'VIEWER');
    const [revoked, kept] = [await newTokenOf(sluice, userId), await newTokenOf(sluice, userId)];
    const [ended, open] = [await socketWith(sluice, revoked.token), await socketWith(sluice, kept.token)];
    await revoke(sluice, revoked.id);
    expect(await ended.closed).toEqual({ code: 4403, reason: 'The token was revoked.' });
    expect(await statusWith(sluice, revoked.token)).toBe(401);
    expect(await statusWith(sluice, kept.token)).toBe(200);
    expect(await open.subscribe('subscription { exportRunChanged(runId: "x") { id } }')).toMatchObject({
      type: 'next',
    });
    open.socket.close();
  });

  it('that is revoked again stays revoked since the first time', async () => {
    const clock = createManualClock();
    await using sluice = await startSluice({ clock });
    const { id } = await newTokenOf(sluice, await newUser(sluice, 'VIEWER'));
    const first = await revoke(sluice, id);
    await clock.pass(1_000);
    expect(await revoke(sluice, id)).toEqual(first);
  });

  it('of the first start can be revoked, and stays so after the next start', async () => {
    await using folder = await temporaryFolder();
    let token: string;
    {
      await using first = await startSluice({ folder: folder.path });
      const other = await signedInAs(first, 'ADMINISTRATOR');
      token = other.token;
      const { apiTokens } = await first.query<{ apiTokens: { nodes: { id: string }[] } }>(
        `{ apiTokens(userId: "${FIRST_ADMINISTRATOR}") { nodes { id } } }`,
      );
      await revoke(other, apiTokens.nodes[0]?.id ?? '');
      expect(await statusWith(first, TEST_TOKEN)).toBe(401);
    }
    await using second = await startSluice({ folder: folder.path });
    expect(await statusWith(second, TEST_TOKEN)).toBe(401);
    expect(await statusWith(second, token)).toBe(200);
  });
});

describe('an open socket', () => {
  it.each([
    ['is disabled', (sluice: Sluice, id: string) => setDisabled(sluice, id, true), 'The user is disabled.'],
    [
      'gets another role',
      (sluice: Sluice, id: string) => setRole(sluice, id, 'CONTRIBUTOR'),
      'The role of the user has changed; connect again.',
    ],
  ])('is closed when its user %s', async (_what, change, reason) => {
    await using sluice = await startSluice();
    const viewer = await signedInAs(sluice, 'VIEWER');
    const socket = await socketWith(sluice, viewer.token);
    await change(sluice, viewer.userId);
    expect(await socket.closed).toEqual({ code: 4403, reason });
  });

  it('is cut also if the client does not answer the close', async () => {
    await using sluice = await startSluice();
    const { id, token } = await newTokenOf(sluice, await newUser(sluice, 'VIEWER'));
    const socket = await stubbornSocket(sluice, token);
    await revoke(sluice, id);
    await once(socket, 'close');
  });

  it('is closed also in the middle of a subscription', async () => {
    await using sluice = await startSluice();
    const viewer = await signedInAs(sluice, 'VIEWER');
    const socket = await socketWith(sluice, viewer.token);
    await socket.send({
      id: '1',
      type: 'subscribe',
      payload: { query: 'subscription { exportRunChanged { id } }' },
    });
    await setDisabled(sluice, viewer.userId, true);
    expect(await socket.closed).toMatchObject({ code: 4403 });
  });
});
