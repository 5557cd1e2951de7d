import { SignJWT, UnsecuredJWT, type JWTPayload } from 'jose';
import { readConfig } from '../src/config.js';
import { AUDIENCE, startIssuer, type TestIssuer } from './helpers/issuer.js';
import { createManualClock } from './helpers/manual-clock.js';
import { auditOf, setDisabled, setRole } from './helpers/people.js';
import { refusalOf } from './helpers/connection-calls.js';
import { RawClient } from './helpers/raw-client.js';
import { startSluice, type Sluice, type SluiceOptions } from './helpers/sluice.js';

const ME = '{ me { id displayName email kind role } }';

interface Me {
  readonly id: string;
  readonly displayName: string;
  readonly email: string | null;
  readonly kind: string;
  readonly role: string;
}

const startFor = (issuer: TestIssuer, options: SluiceOptions = {}) =>
  startSluice({ ...options, env: { OIDC_ISSUER: issuer.url, OIDC_AUDIENCE: AUDIENCE, ...options.env } });

async function meWith(sluice: Sluice, token: string): Promise<Me> {
  const { body } = await sluice.request(ME, {}, { token });
  if (body.errors !== undefined) throw new Error(body.errors[0]?.message);
  return body.data?.me as Me;
}

async function refusalWith(
  sluice: Sluice,
  token: string,
): Promise<{ status: number; message: string | undefined }> {
  const { status, body } = await sluice.request(ME, {}, { token });
  return { status, message: body.errors?.[0]?.message };
}

describe('a token of the OpenID Connect issuer', () => {
  let issuer: TestIssuer;
  let sluice: Sluice;
  beforeAll(async () => {
    issuer = await startIssuer();
    sluice = await startFor(issuer);
  });
  afterAll(async () => {
    await sluice.stop();
    await issuer[Symbol.asyncDispose]();
  });

  it('that the provider issued to a program lets it in, with the role of the claim', async () => {
    const token = await issuer.tokenOfProgram({ roles: ['CONTRIBUTOR'] });
    const me = await meWith(sluice, token);
    expect(me).toMatchObject({ displayName: 'nightly-job', kind: 'APPLICATION', role: 'CONTRIBUTOR' });
    expect((await meWith(sluice, await issuer.tokenOfProgram({ roles: ['CONTRIBUTOR'] }))).id).toBe(me.id);
  });

  it('makes a user at the first request, and takes name, address and role from it every time', async () => {
    const first = await meWith(
      sluice,
      await issuer.sign({ sub: 'eve', name: 'Eve', email: 'eve@example.com' }),
    );
    expect(first).toMatchObject({
      displayName: 'Eve',
      email: 'eve@example.com',
      kind: 'PERSON',
      role: 'VIEWER',
    });
    const promoted = await issuer.sign({ sub: 'eve', name: 'Eve Fox', roles: ['ADMINISTRATOR', 'VIEWER'] });
    expect(await meWith(sluice, promoted)).toEqual({
      ...first,
      displayName: 'Eve Fox',
      role: 'ADMINISTRATOR',
    });
    const events = await auditOf(sluice, `subjectId: "${first.id}"`);
    expect(events).toMatchObject([
      {
        action: 'userFromIssuer',
        actor: { id: first.id },
        detail: { changes: { role: { old: 'VIEWER', new: 'ADMINISTRATOR' } } },
      },
      { action: 'userFromIssuer', detail: { changes: { displayName: { old: null, new: 'Eve' } } } },
    ]);
  });

  it('makes one user of many requests that come first at once', async () => {
    const token = await issuer.sign({ sub: 'many' });
    const ids = await Promise.all(Array.from({ length: 10 }, async () => (await meWith(sluice, token)).id));
    expect(new Set(ids).size).toBe(1);
  });

  it('names other people by another subject, whatever the address', async () => {
    const [one, other] = await Promise.all(
      ['one', 'other'].map(async (sub) =>
        meWith(sluice, await issuer.sign({ sub, email: 'shared@example.com' })),
      ),
    );
    expect(one?.id).not.toBe(other?.id);
  });

  const now = () => Math.floor(Date.now() / 1_000);
  it.each<[string, () => JWTPayload, string]>([
    ['has expired', () => ({ exp: now() - 1 }), 'The token has expired.'],
    ['is for somebody else', () => ({ aud: 'https://other.example' }), 'not meant for this server'],
    ['is by another issuer', () => ({ iss: 'https://other.example' }), 'not meant for this server'],
    ['never expires', () => ({ exp: undefined }), 'not meant for this server'],
    ['says not when it was issued', () => ({ iat: undefined }), 'not meant for this server'],
    ['names nobody', () => ({ sub: undefined }), 'not meant for this server'],
    ['names nobody really', () => ({ sub: '' }), 'names nobody'],
    ['is not valid yet', () => ({ nbf: now() + 60 }), 'not meant for this server'],
    ['gives no role', () => ({ roles: ['something else'] }), 'no role here'],
    ['has no claim of roles', () => ({ roles: undefined }), 'no role here'],
  ])('that %s is refused', async (_what, claims, words) => {
    const refusal = await refusalWith(sluice, await issuer.sign(claims()));
    expect(refusal).toEqual({ status: 401, message: expect.stringContaining(words) as string });
  });

  it('that is not signed is refused', async () => {
    const claims = {
      iss: issuer.url,
      aud: AUDIENCE,
      sub: 'ann',
      roles: ['ADMINISTRATOR'],
      iat: now(),
      exp: now() + 600,
    };
    const unsigned = new UnsecuredJWT(claims).encode();
    expect(await refusalWith(sluice, unsigned)).toEqual({
      status: 401,
      message: 'The token was not signed by the issuer.',
    });
  });

  it('that was changed, or signed with a password, is refused', async () => {
    const [header = '', , signature = ''] = (await issuer.sign({})).split('.');
    const claims = {
      iss: issuer.url,
      aud: AUDIENCE,
      sub: 'ann',
      roles: ['ADMINISTRATOR'],
      iat: now(),
      exp: now() + 600,
    };
    const changed = [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
    const byPassword = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256' })
      .sign(Buffer.alloc(32, 'x'));
    for (const token of [changed, byPassword]) {
      expect(await refusalWith(sluice, token)).toEqual({
        status: 401,
        message: 'The token was not signed by the issuer.',
      });
    }
  });

  it('is refused for a user who is disabled here, whatever the issuer says', async () => {
    const token = await issuer.sign({ sub: 'left' });
    const { id } = await meWith(sluice, token);
    await setDisabled(sluice, id, true);
    expect(await refusalWith(sluice, token)).toEqual({ status: 401, message: 'The user is disabled.' });
  });

  it('decides the role alone: it cannot be set here', async () => {
    const { id } = await meWith(sluice, await issuer.sign({ sub: 'ruled' }));
    expect(await refusalOf(setRole(sluice, id, 'ADMINISTRATOR'))).toMatchObject({
      code: 'CONFLICT',
      field: 'role',
    });
  });

  it('of an administrator does not make the last one here dispensable', async () => {
    await meWith(sluice, await issuer.sign({ sub: 'chief', roles: ['ADMINISTRATOR'] }));
    const first = '00000000-0000-7000-8000-000000000000';
    expect(await refusalOf(setDisabled(sluice, first, true))).toMatchObject({ code: 'CONFLICT' });
  });
});

describe('over WebSocket, a token of the issuer', () => {
  it('lets in, and closes the socket when it expires or the role changes', async () => {
    await using issuer = await startIssuer();
    const clock = createManualClock(Math.floor(Date.now() / 1_000) * 1_000);
    await using sluice = await startFor(issuer, { clock });
    const open = async (claims: JWTPayload) => {
      const client = new RawClient(sluice);
      await client.init(`Bearer ${await issuer.sign(claims)}`);
      expect(await client.next()).toEqual({ type: 'connection_ack' });
      return client;
    };
    const [short, long] = [await open({ exp: clock.now() / 1_000 + 60 }), await open({ sub: 'other' })];
    await clock.pass(60_000);
    expect(await short.closed).toEqual({ code: 4403, reason: 'The token has expired.' });
    await meWith(sluice, await issuer.sign({ sub: 'other', roles: ['CONTRIBUTOR'] }));
    expect(await long.closed).toMatchObject({ code: 4403 });
  });
});

describe('the keys of the issuer', () => {
  it('are fetched once, and again when a token names another: rotation needs no restart', async () => {
    await using issuer = await startIssuer();
    await using sluice = await startFor(issuer);
    const old = await issuer.sign({});
    await Promise.all([meWith(sluice, old), meWith(sluice, old), meWith(sluice, old)]);
    expect(issuer.keyRequests()).toBe(1);
    await issuer.rotate();
    await meWith(sluice, await issuer.sign({}));
    await meWith(sluice, await issuer.tokenOfProgram({ roles: ['VIEWER'] }));
    expect(issuer.keyRequests()).toBe(2);
    expect(await refusalWith(sluice, old)).toMatchObject({ status: 401 });
  });

  it('are asked for ten times a minute at most, whoever invents key ids', async () => {
    await using issuer = await startIssuer();
    await using sluice = await startFor(issuer);
    // One signed later would be another token, which nobody listens to after so many failures.
    const good = await issuer.sign({});
    await meWith(sluice, good);
    const [, claims = '', signature = ''] = good.split('.');
    for (let n = 0; n < 20; n += 1) {
      const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid: `invented-${n}` })).toString(
        'base64url',
      );
      expect(await refusalWith(sluice, [header, claims, signature].join('.'))).toMatchObject({ status: 401 });
    }
    expect(issuer.keyRequests()).toBeLessThanOrEqual(10);
    await meWith(sluice, good);
  });

  it('that cannot be had refuse the token with a reason, and are asked for again', async () => {
    await using issuer = await startIssuer();
    await using sluice = await startFor(issuer);
    issuer.setAway(true);
    const token = await issuer.sign({});
    expect(await refusalWith(sluice, token)).toEqual({
      status: 401,
      message: 'The issuer of the token does not answer, so the token cannot be checked.',
    });
    issuer.setAway(false);
    expect(await meWith(sluice, token)).toMatchObject({ role: 'VIEWER' });
  });

  it('that cannot be had make no failed sign-in of a token that nobody can check', async () => {
    await using issuer = await startIssuer();
    await using sluice = await startFor(issuer, { env: { SLUICE_RATE_FAILED_SIGN_INS: '2' } });
    issuer.setAway(true);
    const token = await issuer.sign({});
    for (let n = 0; n < 4; n += 1) expect(await refusalWith(sluice, token)).toMatchObject({ status: 401 });
    expect(await refusalWith(sluice, 'wrong')).toMatchObject({
      status: 401,
      message: 'The token is not valid.',
    });
  });

  it('are not asked for while no issuer is set: a JWT is a token like any other that is not valid', async () => {
    await using issuer = await startIssuer();
    await using sluice = await startSluice();
    expect(await refusalWith(sluice, await issuer.sign({}))).toEqual({
      status: 401,
      message: 'The token is not valid.',
    });
    expect(issuer.keyRequests()).toBe(0);
  });
});

describe('the claim of the role', () => {
  it.each<[string, string, JWTPayload, string]>([
    ['groups', 'team-a=VIEWER,team-b=CONTRIBUTOR', { groups: ['team-b', 'team-a'] }, 'CONTRIBUTOR'],
    ['realm_access.roles', 'boss=ADMINISTRATOR', { realm_access: { roles: ['boss'] } }, 'ADMINISTRATOR'],
    ['https://example.com/role', 'viewer=VIEWER', { 'https://example.com/role': 'viewer' }, 'VIEWER'],
  ])('is read from %s with %s', async (claim, roles, claims, role) => {
    await using issuer = await startIssuer();
    await using sluice = await startFor(issuer, { env: { OIDC_ROLE_CLAIM: claim, OIDC_ROLES: roles } });
    expect(await meWith(sluice, await issuer.sign({ roles: undefined, ...claims }))).toMatchObject({ role });
  });
});

describe('the settings of the issuer', () => {
  const complete = { OIDC_ISSUER: 'https://issuer.example', OIDC_AUDIENCE: 'sluice' };

  it.each([
    ['OIDC_AUDIENCE', { OIDC_ISSUER: complete.OIDC_ISSUER }],
    ['OIDC_ISSUER', { OIDC_AUDIENCE: 'sluice' }],
    ['OIDC_ISSUER', { ...complete, OIDC_ISSUER: 'issuer.example' }],
    [
      'OIDC_ISSUER',
      {
        ...complete,
        OIDC_ISSUER: 'http://issuer.example',
        NODE_ENV: 'production',
        SLUICE_SECRET_KEY: Buffer.alloc(32).toString('base64'),
      },
    ],
    ['OIDC_ROLES', { ...complete, OIDC_ROLES: 'boss=KING' }],
    ['OIDC_ROLES', { ...complete, OIDC_ROLES: 'boss' }],
  ])('are refused at the start, by name: %s', (variable, env) => {
    expect(() => readConfig(env)).toThrow(variable);
  });
});
