import type { CallContext } from '../call-context.js';
import { apiUrl } from '../records.js';
import { json, type Reply } from '../reply.js';
import { localIso } from '../time.js';

const USER_LINKS = [
  'lists',
  'userGroup',
  'dealGroupTotals',
  'dealGroupUsers',
  'configs',
  'dealConnection',
  'userConversationsPermission',
  'seatUser',
];

/** `GET /users/me` */
export function usersMe({ account }: CallContext): Reply {
  const links = USER_LINKS.map((name) => [name, `${apiUrl(account)}/users/1/${name}`]);
  return json(200, {
    user: {
      username: 'admin',
      firstName: 'Sandbox',
      lastName: 'Admin',
      email: 'admin@example.com',
      phone: '',
      signature: '',
      localZoneid: 'America/Chicago',
      password_updated_utc_timestamp: '0000-00-00 00:00:00',
      cdate: null,
      udate: localIso(account.clock.now(), account.settings.utcOffsetMinutes),
      mfaEnabled: '0',
      links: Object.fromEntries(links) as Record<string, string>,
      id: '1',
    },
  });
}

/** `GET /settings/account`: administrators only. */
export function settingsAccount({ account }: CallContext): Reply {
  if (!account.settings.canReadAccount) return json(403, { message: 'Forbidden' });
  return json(
    200,
    {
      account: `${account.name}.api-us1.com`,
      email: 'admin@example.com',
      first_name: 'Sandbox',
      last_name: 'Admin',
      cname: '',
      status: 'nobody',
      subscriber_limit: account.settings.subscriberLimit ?? UNLIMITED,
      subscriber_total: account.contacts.size,
      trial: false,
      credits: null,
      branding: true,
    },
    { 'cache-control': 'private' },
  );
}

/** The documented field is an integer; this is what an account without a limit shows. */
const UNLIMITED = 2_147_483_647;
