import type { MigrationInterface, QueryRunner } from 'typeorm';
import { renewFormerAddresses } from './keys-of-addresses/renew-former-addresses.js';
import { renewLedger } from './keys-of-addresses/renew-ledger.js';

/**
 * Addresses were compared in the lower case of Unicode, which makes different people the same, and with their domains as
 * they were written. Keys fold ASCII letters alone now, and have domains in ASCII: see src/email-address.ts. Without new
 * keys for what is stored, everybody with another letter in the address would be a leaver and a newcomer at once.
 */
export class KeysOfAddresses1796140000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await renewLedger(runner);
    await renewFormerAddresses(runner);
  }

  /** The old keys are not put back: two people who have an entry each would need one together. */
  async down(): Promise<void> {
    // Nothing to undo.
  }
}
