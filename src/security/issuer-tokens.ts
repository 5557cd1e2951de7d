import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type RemoteJWKSet } from 'jose';
import type { Clock } from '../clock.js';

/** An issuer of JWTs, and for whom they have to be meant. */
export interface IssuerSettings {
  /** As in the tokens' `iss`, a URL. */
  readonly url: string;
  /** As in the tokens' `aud`. */
  readonly audience: string;
}

/** A token that the issuer signed, for us, and that has not expired. */
export interface VerifiedToken {
  readonly subject: string;
  readonly expiresAt: Date;
  readonly claims: JWTPayload;
}

/** The token is not good; the message says why, to whoever sent it. */
export class IssuerTokenError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'IssuerTokenError';
  }
}

/** The token cannot be checked, because the issuer does not say what its keys are. */
export class IssuerUnavailableError extends Error {
  constructor(options?: ErrorOptions) {
    super('The issuer of the token does not answer, so the token cannot be checked.', options);
    this.name = 'IssuerUnavailableError';
  }
}

export type VerifyIssuerToken = (token: string) => Promise<VerifiedToken>;

/** Signatures by a private key alone: with the others, whoever can check a token could make one. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
/** jose demands none of them by itself. */
const REQUIRED_CLAIMS = ['iss', 'aud', 'exp', 'iat', 'sub'];
const TIMEOUT_MS = 5_000;
/** How long keys are believed that nobody asks about. */
const KEYS_MAX_AGE_MS = 600_000;
/** Whoever sends tokens with invented key ids makes us ask the issuer this often, and no more. */
const MAX_QUESTIONS = 10;
const QUESTIONS_WINDOW_MS = 60_000;
/** OpenID Connect Core 1.0, 2: `sub` must not exceed 255 ASCII characters. */
const MAX_SUBJECT_CHARACTERS = 255;

/**
 * Checks JWTs by the keys that the issuer publishes (OpenID Connect Discovery 1.0, 4; RFC 7517). The keys are fetched
 * when the first token comes, and again when a token names a key that is not known yet: that is how issuers rotate them.
 * @returns a function that throws {IssuerTokenError} or {IssuerUnavailableError}.
 */
export function createIssuerTokens(settings: IssuerSettings, clock: Clock): VerifyIssuerToken {
  let keys: Promise<RemoteJWKSet> | undefined;
  let questions: number[] = [];

  /** @throws {IssuerUnavailableError} if the issuer was asked too often lately. */
  const countQuestion = () => {
    const now = clock.monotonic();
    questions = questions.filter((at) => now - at < QUESTIONS_WINDOW_MS);
    if (questions.length >= MAX_QUESTIONS) throw new IssuerUnavailableError();
    questions.push(now);
  };

  const publishedKeys = async (): Promise<RemoteJWKSet> => {
    if (keys === undefined) {
      countQuestion();
      keys = findKeys(settings.url);
      // A failure is not remembered; who waits for it is told.
      keys.catch(() => (keys = undefined));
    }
    return keys;
  };

  const verify = async (token: string): Promise<JWTPayload> => {
    const published = await publishedKeys();
    const check = () =>
      jwtVerify(token, published, {
        issuer: settings.url,
        audience: settings.audience,
        algorithms: ALGORITHMS,
        requiredClaims: REQUIRED_CLAIMS,
        currentDate: new Date(clock.now()),
      });
    try {
      return (await check()).payload;
    } catch (error: unknown) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      countQuestion();
      await published.reload();
      return (await check()).payload;
    }
  };

  return async (token) => {
    try {
      const claims = await verify(token);
      const { sub = '', exp = 0 } = claims;
      if (sub === '' || sub.length > MAX_SUBJECT_CHARACTERS)
        throw new IssuerTokenError('The token names nobody.');
      return { subject: sub, expiresAt: new Date(exp * 1_000), claims };
    } catch (error: unknown) {
      throw classify(error);
    }
  };
}

async function findKeys(issuer: string): Promise<RemoteJWKSet> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const response = await fetch(address, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  const found = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown };
  if (!response.ok || found.issuer !== issuer || typeof found.jwks_uri !== 'string') {
    throw new IssuerUnavailableError({ cause: `${address} does not describe the issuer ${issuer}` });
  }
  const uri = new URL(found.jwks_uri);
  if (uri.protocol !== new URL(issuer).protocol) {
    throw new IssuerUnavailableError({ cause: `${uri.href} is not as safe as the issuer` });
  }
  const options = {
    timeoutDuration: TIMEOUT_MS,
    cacheMaxAge: KEYS_MAX_AGE_MS,
    cooldownDuration: KEYS_MAX_AGE_MS,
  };
  return createRemoteJWKSet(uri, options);
}

/** The one place where it is decided whose fault it is. */
function classify(error: unknown): Error {
  if (error instanceof IssuerTokenError || error instanceof IssuerUnavailableError) return error;
  if (error instanceof errors.JWTExpired)
    return new IssuerTokenError('The token has expired.', { cause: error });
  if (error instanceof errors.JWKSTimeout) return new IssuerUnavailableError({ cause: error });
  if (error instanceof errors.JWTClaimValidationFailed) {
    return new IssuerTokenError(
      `The token is not meant for this server: its claim "${error.claim}" is not as it must be.`,
      {
        cause: error,
      },
    );
  }
  if (FAULTS_OF_THE_TOKEN.some((fault) => error instanceof fault)) {
    return new IssuerTokenError('The token was not signed by the issuer.', { cause: error });
  }
  return new IssuerUnavailableError({ cause: error });
}

const FAULTS_OF_THE_TOKEN = [
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
  errors.JWKSMultipleMatchingKeys,
  errors.JWKSNoMatchingKey,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JWTInvalid,
];

/** Whether the text has the form of a JWT: three parts in base64url, of which the last may be missing (RFC 7515, 3.1). */
export function looksLikeJwt(text: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(text);
}
