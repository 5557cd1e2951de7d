import type { Credentials, Outcome, Receipt } from '../destination.js';
import type { Client } from './client.js';
import { explain } from './identity.js';
import { type JsonObject, member } from './json.js';
import { senseless } from './problems.js';

const WHAT = 'to the question what became of a batch';

/** The importer names the addresses that failed, never the reason (reference §3.6). */
const POSSIBLE_REASONS =
  'ActiveCampaign does not say why. It refuses addresses that have unsubscribed from this list, are on the ' +
  "account's exclusion list, have bounced, or that it finds malformed, and those beyond the account's contact limit.";

/** What became of a batch, from `/import/info` (reference §4.1). @throws {RetryLaterError} | {FixCredentialsError} */
export async function fetchOutcome(
  client: Client,
  credentials: Credentials,
  receipt: Receipt,
): Promise<Outcome> {
  const answer = await client.get(credentials, `/import/info?batchId=${encodeURIComponent(receipt)}`);
  if (answer.kind !== 'OK') return explain(client, credentials, answer, WHAT);
  const outcome = read(answer.body, answer.at);
  if (outcome === undefined) throw senseless(credentials.host, WHAT);
  return outcome;
}

function read(body: JsonObject, at: number | undefined): Outcome | undefined {
  const status = member(body, 'status');
  switch (status) {
    // In the first second nothing is assigned yet; a claimed batch is not begun either (§4.1).
    case false:
    case 'waiting':
    case 'claimed':
      return { state: 'PENDING', begun: false, at };
    case 'active':
      return { state: 'PENDING', begun: true, at };
    case 'completed': {
      const failures: unknown = member(body, 'failure');
      if (!isStringArray(failures)) return undefined;
      return { state: 'COMPLETED', failures, possibleReasons: POSSIBLE_REASONS, at };
    }
    // Given up for causes that are not told; to send the contacts again is safe (§4.1).
    case 'failed':
    case 'interrupted':
      return { state: 'LOST', detail: `ActiveCampaign gave the batch up: its state is ${status}.`, at };
    default:
      return undefined;
  }
}

function isStringArray(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}
