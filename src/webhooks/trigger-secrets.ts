import { timingSafeEqual } from 'node:crypto';
import { Trigger, TriggerAuthentication } from '../entities/trigger.js';
import { newId } from '../ids.js';
import { SealedTextError, type SecretBox } from '../security/secret-box.js';
import { hashToken } from '../security/tokens.js';
import { isSignedWith, newWebhookSecret, type SignedCall } from '../security/webhook-signature.js';

/**
 * How the secret of a trigger is kept and recognised. To check a signature the secret itself is needed, so it is sealed; a
 * secret that is sent is only compared, so its hash is enough.
 */
interface SecretServices {
  readonly secretBox: SecretBox;
}

type Column = 'secret' | 'previousSecret';
type Owner = Pick<Trigger, 'id' | 'authentication'>;

/** How a caller shows that it knows the secret. */
export type Proof =
  | { readonly kind: TriggerAuthentication.SIGNATURE; readonly call: SignedCall; readonly signatures: string }
  | { readonly kind: TriggerAuthentication.BEARER; readonly token: string };

/** The secret as it is stored. */
export function keepSecret(
  { secretBox }: SecretServices,
  trigger: Owner,
  column: Column,
  secret: string,
): string {
  if (trigger.authentication === TriggerAuthentication.BEARER) return hashToken(secret);
  return secretBox.seal(secret, { table: 'triggers', row: trigger.id, column });
}

/**
 * The present secret, as it is stored as the previous one: what is sealed opens in its own column alone.
 * @returns null: it cannot be read, because the server has another secret key now. Nobody can be recognised by it then.
 */
export function sealAsPrevious(services: SecretServices, trigger: Trigger): string | null {
  if (trigger.authentication === TriggerAuthentication.BEARER) return trigger.secret;
  try {
    const secret = openSecret(services, trigger, 'secret', trigger.secret);
    return keepSecret(services, trigger, 'previousSecret', secret);
  } catch (error: unknown) {
    if (error instanceof SealedTextError) return null;
    throw error;
  }
}

/** The secret of a trigger whose callers sign. @throws {SealedTextError} if the server has another secret key now. */
function openSecret({ secretBox }: SecretServices, { id }: Owner, column: Column, stored: string): string {
  return secretBox.open(stored, { table: 'triggers', row: id, column });
}

/**
 * Triggers that nobody knows the secret of, one for each way to show that one knows it: a call of a trigger that does not
 * exist is checked against them, and takes as long.
 */
export type Decoys = Readonly<Record<TriggerAuthentication, Trigger>>;

export function createDecoys(services: SecretServices): Decoys {
  const decoy = (authentication: TriggerAuthentication) => {
    const owner = { id: newId(), authentication };
    const secret = keepSecret(services, owner, 'secret', newWebhookSecret());
    return Object.assign(new Trigger(), { ...owner, secret, previousSecret: null, previousUntil: null });
  };
  return {
    SIGNATURE: decoy(TriggerAuthentication.SIGNATURE),
    BEARER: decoy(TriggerAuthentication.BEARER),
  };
}

/** Whether the caller knows the present secret of the trigger, or the one before while that still works. */
export function isProven(services: SecretServices, trigger: Trigger, proof: Proof, nowMs: number): boolean {
  const knows = (column: Column, stored: string): boolean => {
    if (proof.kind === TriggerAuthentication.BEARER) {
      return timingSafeEqual(Buffer.from(hashToken(proof.token)), Buffer.from(stored));
    }
    return isSignedWith(openSecret(services, trigger, column, stored), proof.call, proof.signatures);
  };
  const { secret, previousSecret, previousUntil } = trigger;
  const knowsPresent = knows('secret', secret);
  const isPreviousGood = previousSecret !== null && previousUntil !== null && previousUntil.getTime() > nowMs;
  return knowsPresent || (isPreviousGood && knows('previousSecret', previousSecret));
}
