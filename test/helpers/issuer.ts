import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose';
import Provider, { type Adapter, type Configuration } from 'oidc-provider';
import { noteStart, noteStop } from './leaks.js';

export const AUDIENCE = 'https://sluice.example';

/** A real OpenID Connect provider, in this process. */
export interface TestIssuer extends AsyncDisposable {
  readonly url: string;
  /** A token that the provider itself issues to a program, for Sluice, with these claims. */
  readonly tokenOfProgram: (claims: Record<string, unknown>) => Promise<string>;
  /** A token signed with the provider's present key; claims that are undefined are left out. */
  readonly sign: (claims: JWTPayload) => Promise<string>;
  /** From now on it has another key, and the one before is not published any more. */
  readonly rotate: () => Promise<void>;
  /** How often its keys were asked for. */
  readonly keyRequests: () => number;
  /** From now on it does not answer, or answers again. */
  readonly setAway: (isAway: boolean) => void;
}

const PROGRAM = { client_id: 'nightly-job', client_secret: 'secret-of-the-job' };

/** @example await using issuer = await startIssuer(); */
export async function startIssuer(): Promise<TestIssuer> {
  let handle: RequestListener = (_request, response) => response.end();
  let keyRequests = 0;
  let isAway = false;
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/jwks') === true) keyRequests += 1;
    if (isAway) response.writeHead(503).end();
    else handle(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let extraClaims: Record<string, unknown> = {};
  let keys = 0;
  let present: { privateKey: CryptoKey; kid: string };

  const rotate = async () => {
    keys += 1;
    const kid = `key-${keys}`;
    const { privateKey } = await generateKeyPair('RS256', { extractable: true });
    present = { privateKey, kid };
    const jwk = { ...(await exportJWK(privateKey)), kid, use: 'sig', alg: 'RS256' };
    const answer = new Provider(
      url,
      configuration(jwk, () => extraClaims),
    ).callback();
    handle = (request, response) => void answer(request, response);
  };
  await rotate();

  const issuer: TestIssuer = {
    url,
    rotate,
    keyRequests: () => keyRequests,
    setAway: (away) => {
      isAway = away;
    },
    tokenOfProgram: async (claims) => {
      extraClaims = claims;
      const response = await fetch(`${url}/token`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${btoa(`${PROGRAM.client_id}:${PROGRAM.client_secret}`)}`,
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: new URLSearchParams({ grant_type: 'client_credentials', resource: AUDIENCE }),
      });
      const body = (await response.json()) as { access_token?: string };
      if (body.access_token === undefined) throw new Error(JSON.stringify(body));
      return body.access_token;
    },
    sign: async (claims) => {
      const now = Math.floor(Date.now() / 1_000);
      const all = {
        iss: url,
        aud: AUDIENCE,
        sub: 'ann',
        iat: now,
        exp: now + 600,
        roles: ['VIEWER'],
        ...claims,
      };
      return new SignJWT(all).setProtectedHeader({ alg: 'RS256', kid: present.kid }).sign(present.privateKey);
    },
    [Symbol.asyncDispose]: async () => {
      noteStop(issuer);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  noteStart(issuer, `issuer at ${url}`);
  return issuer;
}

/** JWTs need no storage, and what the provider keeps by itself makes it warn. */
class KeepsNothing implements Adapter {
  upsert = () => Promise.resolve();
  find = () => Promise.resolve(undefined);
  findByUserCode = this.find;
  findByUid = this.find;
  consume = this.upsert;
  destroy = this.upsert;
  revokeByGrantId = this.upsert;
}

function configuration(
  key: Record<string, unknown>,
  extraClaims: () => Record<string, unknown>,
): Configuration {
  return {
    jwks: { keys: [key] },
    adapter: KeepsNothing,
    ttl: { ClientCredentials: 600 },
    clients: [{ ...PROGRAM, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
    extraTokenClaims: () => extraClaims(),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: '',
          audience: AUDIENCE,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  };
}
