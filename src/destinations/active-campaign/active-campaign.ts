import type { Destination } from '../destination.js';
import { fetchCapacity } from './capacity.js';
import { check } from './check.js';
import { type ClientServices, createClient } from './client.js';
import { fetchMembership, findContact, subscribe } from './contacts.js';
import { emailProblem } from './emails.js';
import { bytesAtMost, bytesOf, ENVELOPE_BYTES, send } from './importer.js';
import { limitsAt } from './limits.js';
import { fetchList, fetchLists } from './lists.js';
import { fetchOutcome } from './outcome.js';

export interface ActiveCampaignServices extends ClientServices {
  /** Domains below which accounts live. */
  readonly suffixes: readonly string[];
}

/** ActiveCampaign, by its API version 3 and its bulk importer. */
export function createActiveCampaign(services: ActiveCampaignServices): Destination {
  const client = createClient(services);
  return {
    check: (credentials) => check(client, credentials, services.suffixes),
    lists: (credentials) => fetchLists(client, credentials),
    list: (credentials, id) => fetchList(client, credentials, id),
    send: (credentials, batch) => send(client, credentials, batch),
    outcome: (credentials, receipt) => fetchOutcome(client, credentials, receipt),
    findContact: (credentials, email) => findContact(client, credentials, email),
    membership: (credentials, contact, listId) => fetchMembership(client, credentials, contact, listId),
    subscribe: (credentials, contact, listId) => subscribe(client, credentials, contact, listId),
    capacity: (credentials) => fetchCapacity(client, credentials),
    timeAt: (host) => client.timeAt(host),
    emailProblem,
    bytesOf,
    bytesAtMost,
    limits: (host) => limitsAt(services.timeScaleOf(host), ENVELOPE_BYTES),
  };
}
