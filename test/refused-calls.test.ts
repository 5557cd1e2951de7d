import { createManualClock } from './helpers/manual-clock.js';
import { connectionCalls } from './helpers/connection-calls.js';
import { dropTable } from './helpers/damage.js';
import { exportOf, finish, people, startEngine, type Engine } from './helpers/engine.js';
import { auditOf, type AuditRow } from './helpers/people.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';
import { call, createTrigger, post, signed, type IssuedTrigger } from './helpers/trigger-calls.js';

const PROXIES = { SLUICE_TRUSTED_PROXIES: 'loopback' };
const CALLER = '203.0.113.7';
const FROM_CALLER = { 'x-forwarded-for': CALLER };
const NOWHERE = '01890000-0000-7000-8000-000000000000';
const PLANTED = 'planted-text-of-a-body';
const PLANTED_BODY = JSON.stringify({ note: PLANTED });

interface Known {
  readonly sluice: Sluice;
  readonly connectionId: string;
  readonly exportId: string;
  readonly trigger: IssuedTrigger;
  readonly bearer: IssuedTrigger;
}

async function known({ sluice, connectionId }: Engine): Promise<Known> {
  const exportId = await exportOf({ sluice, connectionId }, people(2));
  const trigger = await createTrigger(sluice, exportId);
  return {
    sluice,
    connectionId,
    exportId,
    trigger,
    bearer: await createTrigger(sluice, exportId, 'BEARER'),
  };
}

/** The refused calls, the latest first. */
async function refusedCalls(sluice: Sluice): Promise<AuditRow[]> {
  const events = await auditOf(sluice, 'action: "callTrigger"');
  return events.filter(({ result }) => result !== 'OK');
}

interface Case {
  readonly status: number;
  /** Makes the call that is refused. */
  readonly send: (of: Known) => Promise<{ readonly status: number }>;
  readonly result: string;
  readonly reason: string;
  readonly field?: string;
  /** By default the trigger that signs. */
  readonly subject?: (of: Known) => string;
  /** Whether the caller showed that it knows the secret. */
  readonly isProven?: boolean;
}

const UNPROVEN = { status: 401, result: 'UNAUTHENTICATED' };
const UNREADABLE = { status: 400, result: 'BAD_USER_INPUT' };

const withHeaders = ({ sluice, trigger }: Known, changes: Readonly<Record<string, string>>) =>
  post(sluice, trigger.path, PLANTED_BODY, {
    ...signed(trigger.secret, 'a', PLANTED_BODY),
    ...FROM_CALLER,
    ...changes,
  });

const genuine = (of: Known, id = 'a', body = PLANTED_BODY) =>
  post(of.sluice, of.trigger.path, body, { ...signed(of.trigger.secret, id, body), ...FROM_CALLER });

const CASES: Readonly<Record<string, Case>> = {
  'of a trigger that does not exist': {
    ...UNPROVEN,
    send: ({ sluice, trigger }) =>
      post(sluice, `/hooks/${NOWHERE}`, PLANTED_BODY, {
        ...signed(trigger.secret, 'a', PLANTED_BODY),
        ...FROM_CALLER,
      }),
    reason: 'There is no such trigger.',
    subject: () => NOWHERE,
  },
  'of an address that holds a secret by mistake': {
    ...UNPROVEN,
    send: ({ sluice, trigger, bearer }) =>
      post(sluice, `/hooks/${encodeURIComponent(bearer.secret)}`, PLANTED_BODY, {
        ...signed(trigger.secret, 'a', PLANTED_BODY),
        ...FROM_CALLER,
      }),
    reason: 'There is no such trigger.',
    subject: () => '-',
  },
  'of an address that no database can look up': {
    ...UNPROVEN,
    send: ({ sluice, trigger }) =>
      post(sluice, '/hooks/a%00b', PLANTED_BODY, {
        ...signed(trigger.secret, 'a', PLANTED_BODY),
        ...FROM_CALLER,
      }),
    reason: 'There is no such trigger.',
    subject: () => '-',
  },
  'of a disabled trigger': {
    ...UNPROVEN,
    send: async (of) => {
      await of.sluice.query(
        'mutation ($id: ID!) { setTriggerEnabled(id: $id, enabled: false) { id } }',
        of.trigger as never,
      );
      return genuine(of);
    },
    reason: 'The trigger is disabled.',
  },
  'with a wrong signature': {
    ...UNPROVEN,
    send: (of) => withHeaders(of, { 'webhook-signature': `v1,${PLANTED}` }),
    reason: 'The signature was not made over this call with the secret of the trigger.',
  },
  'with a wrong secret': {
    ...UNPROVEN,
    send: ({ sluice, bearer, trigger }) =>
      post(sluice, bearer.path, PLANTED_BODY, { authorization: `Bearer ${trigger.secret}`, ...FROM_CALLER }),
    reason: 'The secret is not that of the trigger.',
    subject: ({ bearer }) => bearer.id,
  },
  'with a secret instead of a signature': {
    ...UNPROVEN,
    send: ({ sluice, trigger }) =>
      post(sluice, trigger.path, PLANTED_BODY, { authorization: `Bearer ${trigger.secret}`, ...FROM_CALLER }),
    reason: 'The trigger wants SIGNATURE, and the call came with BEARER.',
  },
  'with an old timestamp': {
    ...UNPROVEN,
    send: (of) => withHeaders(of, { 'webhook-timestamp': '1700000000' }),
    reason: 'The webhook-timestamp is more than five minutes away from the time of this server.',
    field: 'webhook-timestamp',
  },
  'with a timestamp that is no number': {
    ...UNREADABLE,
    send: (of) => withHeaders(of, { 'webhook-timestamp': PLANTED }),
    reason: 'The header webhook-timestamp has something else than digits.',
    field: 'webhook-timestamp',
  },
  'with a webhook-id that cannot be': {
    ...UNREADABLE,
    send: (of) => withHeaders(of, { 'webhook-id': `${PLANTED}.` }),
    reason: 'The header webhook-id is not 1 to 200 visible ASCII characters without a dot.',
    field: 'webhook-id',
  },
  'without any header': {
    ...UNREADABLE,
    send: ({ sluice, trigger }) => post(sluice, trigger.path, PLANTED_BODY, FROM_CALLER),
    reason: 'The header webhook-id is missing.',
    field: 'webhook-id',
  },
  'that is compressed': {
    status: 415,
    result: 'BAD_REQUEST',
    send: (of) => withHeaders(of, { 'content-encoding': 'gzip' }),
    reason: 'The body has a Content-Encoding.',
  },
  'that is too long': {
    status: 413,
    result: 'BAD_REQUEST',
    send: ({ sluice, trigger }) => post(sluice, trigger.path, PLANTED.repeat(4_000), FROM_CALLER),
    reason: 'The body is longer than 64 kB.',
  },
  'whose body is no JSON': {
    ...UNREADABLE,
    isProven: true,
    send: (of) => genuine(of, 'a', PLANTED),
    reason: 'The body is no JSON object.',
    field: 'body',
  },
  'with the webhook-id of another call': {
    status: 409,
    result: 'IDEMPOTENCY_KEY_REUSED',
    isProven: true,
    send: async (of) => {
      await finish(of.sluice, (await call(of.sluice, of.trigger, 'a')).body.runId ?? '');
      return genuine(of);
    },
    reason: 'This webhook-id came with another body before.',
    field: 'webhook-id',
  },
  'whose export has no consent': {
    status: 409,
    result: 'CONSENT_REQUIRED',
    isProven: true,
    send: async (of) => {
      await connectionCalls(of.sluice).withdrawConsent(of.connectionId);
      return genuine(of);
    },
    reason: 'Nobody has agreed yet that profiles may be sent through this connection.',
  },
  'whose export is on a connection that fails': {
    status: 502,
    result: 'CONNECTION_FAILED',
    isProven: true,
    send: async (of) => {
      await connectionCalls(of.sluice).update(of.connectionId, { apiKey: PLANTED });
      return genuine(of);
    },
    reason: 'The credentials of the connection have not been checked since they were entered.',
  },
  'whose export is detached': {
    status: 409,
    result: 'CONFLICT',
    isProven: true,
    send: async (of) => {
      await of.sluice.query('mutation ($ids: [ID!]!) { detachExports(ids: $ids) { id } }', {
        ids: [of.exportId],
      });
      return genuine(of);
    },
    reason: 'The export is detached from its connection and does not run.',
  },
};

describe('a refused call', () => {
  it.each(Object.entries(CASES))(
    '%s is in the audit: which trigger, from where, and why',
    async (_what, refusal) => {
      await using engine = await startEngine({ sluice: { env: PROXIES } });
      const of = await known(engine);
      expect((await refusal.send(of)).status).toBe(refusal.status);
      const { result, reason, field, subject, isProven = false } = refusal;
      expect(await refusedCalls(of.sluice)).toEqual([
        {
          id: expect.any(String) as string,
          at: expect.any(String) as string,
          actor: null,
          action: 'callTrigger',
          subjectType: 'Trigger',
          subjectId: subject?.(of) ?? of.trigger.id,
          result,
          detail: { reason, ...(field && { field }), ...(isProven && { exportId: of.exportId }) },
          clientAddress: CALLER,
        },
      ]);
      const everything = JSON.stringify(await auditOf(of.sluice));
      for (const secret of [PLANTED, of.trigger.secret, of.bearer.secret])
        expect(everything).not.toContain(secret.replace('whsec_', ''));
    },
  );

  it('that comes too often is in the audit as well', async () => {
    await using sluice = await startSluice({ env: { SLUICE_TRIGGER_CALLS_PER_MINUTE: '1' } });
    for (const status of [400, 429]) expect((await post(sluice, `/hooks/${NOWHERE}`)).status).toBe(status);
    expect((await refusedCalls(sluice))[0]).toMatchObject({
      subjectId: NOWHERE,
      result: 'RATE_LIMITED',
      detail: { reason: 'The trigger is called too often.' },
    });
  });

  it('is written down 60 times a minute and then only counted, unless the caller knows the secret', async () => {
    const clock = createManualClock(Date.now());
    await using engine = await startEngine({ sluice: { clock } });
    const of = await known(engine);
    const { sluice, trigger, exportId } = of;
    await sluice.query('mutation ($ids: [ID!]!) { detachExports(ids: $ids) { id } }', { ids: [exportId] });
    const guess = (path: string) =>
      post(sluice, path, '', {
        ...signed(trigger.secret, 'a', '', new Date(clock.now())),
        'webhook-id': 'b',
      });
    const paths = Array.from({ length: 80 }, (_, n) => (n % 2 === 0 ? trigger.path : `/hooks/${NOWHERE}`));
    const answers = await Promise.all(paths.map(guess));
    // Written down or not, known or not.
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(await refusedCalls(sluice)).toHaveLength(60);
    const at = new Date(clock.now());
    for (const id of ['c', 'd']) expect((await call(sluice, trigger, id, '', at)).status).toBe(409);
    expect((await refusedCalls(sluice)).map(({ result }) => result).slice(0, 3)).toEqual([
      'CONFLICT',
      'CONFLICT',
      'UNAUTHENTICATED',
    ]);
    await clock.pass(60_000);
    await guess(`/hooks/${NOWHERE}`);
    const [latest, ...earlier] = await refusedCalls(sluice);
    expect(latest?.detail).toEqual({ reason: 'There is no such trigger.', unwrittenBefore: 20 });
    expect(earlier).toHaveLength(62);
  });

  it('is answered as ever when it cannot be written down', async () => {
    await using engine = await startEngine();
    const of = await known(engine);
    const refused = () => withHeaders(of, { 'webhook-signature': 'v1,AAAA' });
    const before = await refused();
    await dropTable(of.sluice, 'audit_events');
    expect((await refused()).text).toBe(before.text);
    expect(of.sluice.log).toContainEqual(
      expect.objectContaining({ msg: 'a refused call of a trigger was not written down' }),
    );
    // One that is good is not taken without its event.
    expect((await genuine(of)).status).toBe(503);
  });
});

describe('a call of an address that cannot be decoded', () => {
  it('is not found, and no fault of ours', async () => {
    await using sluice = await startSluice();
    for (const path of ['/hooks/%zz', '/hooks/%E0%A4%A'])
      expect(await post(sluice, path)).toMatchObject({
        status: 404,
        body: { errors: [{ extensions: { code: 'NOT_FOUND' } }] },
      });
    expect(sluice.log.filter(({ msg }) => msg === 'internal error')).toEqual([]);
  });
});

describe('a call that could not be taken', () => {
  it('is in the audit, with the id under which the log has more', async () => {
    await using folder = await temporaryFolder();
    let of: Known;
    {
      await using engine = await startEngine({ sluice: { folder: folder.path } });
      of = await known(engine);
    }
    // The secret of the trigger cannot be read with another key.
    const server = { folder: folder.path, env: { SLUICE_SECRET_KEY: btoa('k'.repeat(32)) } };
    let answer;
    {
      await using sluice = await startSluice(server);
      answer = await genuine({ ...of, sluice });
      expect(answer.status).toBe(503);
    }
    // It is written down after the answer, and the server waits for that before it ends.
    await using sluice = await startSluice(server);
    const { correlationId } = answer.body.errors?.[0]?.extensions ?? {};
    expect(correlationId).toEqual(expect.any(String));
    expect(await refusedCalls(sluice)).toMatchObject([
      { subjectId: of.trigger.id, result: 'INTERNAL_SERVER_ERROR', detail: { correlationId } },
    ]);
  });
});
