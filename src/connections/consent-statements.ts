import { createHash } from 'node:crypto';
import { DestinationKind } from '../entities/connection.js';

/** What an administrator agrees to before data may go to a destination. */
export interface ConsentStatement {
  readonly version: string;
  readonly text: string;
}

export type ConsentStatements = Readonly<Record<DestinationKind, ConsentStatement>>;

/** What has to be agreed to today, and how long an earlier agreement goes on. */
export interface ConsentRules {
  readonly statements: ConsentStatements;
  /** From the moment when the server first has a newer statement. */
  readonly graceMs: number;
}

/** A text that changes gets a new version: what somebody agreed to is kept with the agreement, word for word. */
export const CONSENT_STATEMENTS: ConsentStatements = {
  [DestinationKind.ACTIVE_CAMPAIGN]: {
    version: '2026-11-01',
    text: [
      'By agreeing you instruct Sluice to send profiles to ActiveCampaign whenever an export that uses this connection ' +
        'runs. E-mail addresses, names, phone numbers and membership in your segments leave this system; they may be ' +
        'sensitive, and from then on ActiveCampaign stores and uses them under its own terms, possibly in another country.',
      'You are responsible for having the right to pass these data on, and for making sure that ActiveCampaign meets ' +
        'the duties of privacy and security that you have towards the people concerned.',
      'You can withdraw this consent at any time: no further profiles are sent from then on. An administrator can also ' +
        'remove the connection at any time. Neither deletes what ActiveCampaign already received; ask for that there.',
    ].join('\n\n'),
  },
};

/** SHA-256 of the text, hexadecimal: tells in the audit trail which text it was. */
export function hashStatement(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
