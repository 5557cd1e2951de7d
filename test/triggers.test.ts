import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { systemClock, type Clock } from '../src/clock.js';
import { storedIn } from './helpers/databases.js';
import { createCalendar } from './helpers/calendar.js';
import { dropTable } from './helpers/damage.js';
import { exportOf, finish, people, startEngine, stoppedTime, type Engine } from './helpers/engine.js';
import { connectedConnection } from './helpers/flows.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';
import { readSteps } from './helpers/tutorial.js';
import { runs } from './helpers/schedule-calls.js';
import { call, createTrigger, post, signed, type IssuedTrigger } from './helpers/trigger-calls.js';

interface TriggerAnswer {
  readonly id: string;
  readonly name: string;
  readonly authentication: string;
  readonly enabled: boolean;
  readonly path: string;
  readonly lastCalledAt: string | null;
  readonly export: { readonly id: string };
}

async function triggers(sluice: Sluice, exportId?: string): Promise<TriggerAnswer[]> {
  const { triggers: page } = await sluice.query<{ triggers: { nodes: TriggerAnswer[] } }>(
    `query ($exportId: ID) {
      triggers(exportId: $exportId) { nodes { id name authentication enabled path lastCalledAt export { id } } }
    }`,
    { exportId: exportId ?? null },
  );
  return page.nodes;
}

async function rotate(sluice: Sluice, id: string): Promise<string> {
  const { rotateTriggerSecret } = await sluice.query<{ rotateTriggerSecret: { secret: string } }>(
    'mutation ($id: ID!) { rotateTriggerSecret(id: $id) { secret } }',
    { id },
  );
  return rotateTriggerSecret.secret;
}

async function setEnabled(sluice: Sluice, id: string, enabled: boolean): Promise<void> {
  await sluice.query(
    'mutation ($id: ID!, $enabled: Boolean!) { setTriggerEnabled(id: $id, enabled: $enabled) { id } }',
    {
      id,
      enabled,
    },
  );
}

/** An export with a trigger. */
async function triggered(engine: Engine, authentication = 'SIGNATURE') {
  const exportId = await exportOf(engine, people(2));
  return { exportId, trigger: await createTrigger(engine.sluice, exportId, authentication) };
}

describe('a trigger', () => {
  it('has a path and a secret of 32 bytes, which is shown once', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const { exportId, trigger } = await triggered(engine);
    expect(trigger.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(await triggers(sluice)).toEqual([
      {
        id: trigger.id,
        name: 'Test',
        authentication: 'SIGNATURE',
        enabled: true,
        path: `/hooks/${trigger.id}`,
        lastCalledAt: null,
        export: { id: exportId },
      },
    ]);
    expect(await triggers(sluice, 'another')).toEqual([]);
    const creation =
      'mutation ($id: ID!, $name: String!) { createTrigger(exportId: $id, name: $name) { secret } }';
    await expect(sluice.query(creation, { id: 'x', name: 'A' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(sluice.query(creation, { id: exportId, name: ' ' })).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
    });
  });

  it('starts a run for a call that the package standardwebhooks has signed', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const { exportId, trigger } = await triggered(engine);
    const answer = await call(sluice, trigger, 'msg_1', '{}');
    expect(answer).toMatchObject({
      status: 202,
      body: { runId: expect.any(String) as unknown, duplicate: false },
    });
    expect(await runs(sluice)).toMatchObject([
      { id: answer.body.runId, trigger: 'WEBHOOK', requestedBy: null, export: { id: exportId } },
    ]);
    expect(await finish(sluice, answer.body.runId ?? '')).toMatchObject({ state: 'SUCCEEDED' });
    expect((await triggers(sluice))[0]?.lastCalledAt).toEqual(expect.any(String));
  });

  it.each([
    ['text/plain', ''],
    ['application/octet-stream', '{}'],
    ['application/x-www-form-urlencoded', '{"type": "contact.updated", "data": {"ünï": "cödé"}}'],
    ['', '{"force": false}'],
  ])('takes any content type: %s', async (type, body) => {
    await using engine = await startEngine();
    const { trigger } = await triggered(engine);
    const headers = { ...signed(trigger.secret, 'a', body), 'content-type': type };
    const answer = await post(engine.sluice, trigger.path, body, headers);
    expect(answer.status).toBe(202);
    await finish(engine.sluice, answer.body.runId ?? '');
  });

  it('sends everybody when the body says so, as runExport does', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const { trigger } = await triggered(engine);
    await finish(sluice, (await call(sluice, trigger, 'a')).body.runId ?? '');
    const second = await call(sluice, trigger, 'b');
    expect(await finish(sluice, second.body.runId ?? '')).toMatchObject({
      progress: { unchanged: 2, toSend: 0 },
    });
    const forced = await call(sluice, trigger, 'c', '{"force": true}');
    expect(await finish(sluice, forced.body.runId ?? '')).toMatchObject({ progress: { toSend: 2 } });
  });

  it('joins the run that is queued, and one call more of the same makes no more of it', async () => {
    const time = stoppedTime();
    await using engine = await startEngine({ sandbox: time.sandbox });
    const { sluice, sandbox } = engine;
    const { trigger } = await triggered(engine);
    const accepted = sandbox.next('accepted');
    const first = await call(sluice, trigger, 'a');
    await accepted;
    const others = await Promise.all(['b', 'c', 'd', 'b'].map((id) => call(sluice, trigger, id)));
    expect(new Set(others.map(({ body }) => body.runId)).size).toBe(1);
    expect(others.filter(({ body }) => body.duplicate)).toHaveLength(1);
    expect(others[0]?.body.runId).not.toBe(first.body.runId);
    time.letGo();
    for (const { id } of await runs(sluice)) await finish(sluice, id);
    expect(await runs(sluice)).toHaveLength(2);
  });

  it('answers the same call with the same run for seven days, and another body with 409', async () => {
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    await using engine = await startEngine({ sluice: calendar.options });
    const { sluice } = engine;
    const { trigger } = await triggered(engine);
    const callNow = (id: string, body = '{}') =>
      call(sluice, trigger, id, body, new Date(calendar.clock.now()));
    const first = await callNow('a');
    await finish(sluice, first.body.runId ?? '');
    await calendar.turnTo('2026-01-12T05:59:00Z');
    expect((await callNow('a')).body).toEqual({ runId: first.body.runId, duplicate: true });
    expect(await callNow('a', '{ }')).toMatchObject({
      status: 409,
      body: { errors: [{ extensions: { code: 'IDEMPOTENCY_KEY_REUSED', field: 'webhook-id' } }] },
    });
    expect(await runs(sluice)).toHaveLength(1);
    await calendar.turnTo('2026-01-12T07:00:00Z');
    const later = await callNow('a');
    expect(later.body).toMatchObject({ duplicate: false });
    await finish(sluice, later.body.runId ?? '');
  });

  it('knows its own calls alone', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const { exportId, trigger } = await triggered(engine);
    const other = await createTrigger(sluice, exportId);
    const one = await call(sluice, trigger, 'a');
    await finish(sluice, one.body.runId ?? '');
    const another = await call(sluice, other, 'a', '{}');
    expect(another.body).toMatchObject({ duplicate: false });
    await finish(sluice, another.body.runId ?? '');
  });
});

describe('a call', () => {
  it('is refused in the same way, byte by byte, when the trigger is unknown, disabled or removed, and when it is not signed', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const { exportId, trigger } = await triggered(engine);
    const disabled = await createTrigger(sluice, exportId);
    await setEnabled(sluice, disabled.id, false);
    const removed = await createTrigger(sluice, exportId);
    await sluice.query('mutation ($id: ID!) { removeTrigger(id: $id) }', { id: removed.id });
    const bearer = await createTrigger(sluice, exportId, 'BEARER');
    const { secret } = trigger;
    const good = signed(secret, 'a', '{}');
    const answers = await Promise.all([
      post(sluice, '/hooks/01890000-0000-7000-8000-000000000000', '{}', good),
      post(sluice, '/hooks/x', '{}', good),
      call(sluice, disabled, 'a', '{}'),
      call(sluice, removed, 'a', '{}'),
      post(sluice, trigger.path, '{ }', good),
      post(sluice, trigger.path, '{}', { ...good, 'webhook-id': 'b' }),
      post(sluice, trigger.path, '{}', {
        ...good,
        'webhook-timestamp': String(Number(good['webhook-timestamp']) + 1),
      }),
      post(sluice, trigger.path, '{}', { ...good, 'webhook-signature': 'v1,AAAA' }),
      post(sluice, trigger.path, '{}', {
        ...good,
        'webhook-signature': good['webhook-signature']?.replace('v1,', 'v2,') ?? '',
      }),
      post(sluice, trigger.path, '{}', { ...good, 'webhook-signature': '' }),
      post(sluice, trigger.path, '{}', { authorization: `Bearer ${secret}` }),
      post(sluice, trigger.path, 'no JSON', signed(disabled.secret, 'a', 'no JSON')),
      post(sluice, bearer.path, '{}', { authorization: `Bearer ${secret}` }),
      post(sluice, bearer.path, '{}', signed(bearer.secret, 'a', '{}')),
      post(sluice, '/hooks/x', '{}', { authorization: `Bearer ${secret}` }),
    ]);
    const seen = answers.map(({ status, text, headers }) => {
      const rest = Object.fromEntries([...headers].filter(([name]) => name !== 'date'));
      return JSON.stringify({ status, text, rest });
    });
    expect(new Set(seen).size).toBe(1);
    expect(answers[0]).toMatchObject({
      status: 401,
      body: { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] },
    });
    expect(await runs(sluice)).toEqual([]);
    // And the good one is good.
    const taken = await post(sluice, trigger.path, '{}', good);
    expect(taken.status).toBe(202);
    await finish(sluice, taken.body.runId ?? '');
  });

  it('is good with one good signature among others, and no more than ten are looked at', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const { trigger } = await triggered(engine);
    const headers = signed(trigger.secret, 'a', '{}');
    const signature = headers['webhook-signature'] ?? '';
    const others = (count: number) =>
      Array.from({ length: count }, (_, index) => `v1,${btoa(`other ${index}`)}`);
    const send = (signatures: string[]) =>
      post(sluice, trigger.path, '{}', { ...headers, 'webhook-signature': signatures.join(' ') });
    expect((await send([...others(10), signature])).status).toBe(401);
    const taken = await send([...others(8), 'v1a,x', signature]);
    expect(taken.status).toBe(202);
    await finish(sluice, taken.body.runId ?? '');
  });

  it.each([
    ['webhook-id', undefined, 'is missing'],
    ['webhook-id', 'a.b', 'without a dot'],
    ['webhook-id', 'a b', 'visible ASCII'],
    ['webhook-id', 'x'.repeat(201), '1 to 200'],
    ['webhook-timestamp', undefined, 'is missing'],
    ['webhook-timestamp', '123abc', 'something else than digits'],
    ['webhook-timestamp', '-1', 'something else than digits'],
    ['webhook-timestamp', '1e9', 'something else than digits'],
    ['webhook-timestamp', '1.5', 'something else than digits'],
    ['webhook-signature', undefined, 'is missing'],
    ['authorization', 'Basic abc', 'not of the form'],
  ])('without a usable %s (%s) is told so, whatever the trigger', async (field, value, message) => {
    await using engine = await startEngine();
    const { trigger } = await triggered(engine);
    const usual = field === 'authorization' ? {} : signed(trigger.secret, 'a');
    const changed = new Map<string, string>(Object.entries(usual));
    changed.delete(field);
    if (value !== undefined) changed.set(field, value);
    const headers = Object.fromEntries(changed);
    const known = await post(engine.sluice, trigger.path, '', headers);
    expect(known).toMatchObject({
      status: 400,
      body: {
        errors: [
          {
            message: expect.stringContaining(message) as unknown,
            extensions: { code: 'BAD_USER_INPUT', field },
          },
        ],
      },
    });
    expect((await post(engine.sluice, '/hooks/unknown', '', headers)).text).toBe(known.text);
    expect(await runs(engine.sluice)).toEqual([]);
  });

  it.each([
    [-301, 401],
    [-299, 202],
    [299, 202],
    [301, 401],
  ])('signed %i seconds from now is answered %i', async (seconds, status) => {
    const calendar = createCalendar('2026-01-05T06:00:00Z');
    await using engine = await startEngine({ sluice: calendar.options });
    const { trigger } = await triggered(engine);
    await calendar.turnTo('2026-01-05T07:00:00Z');
    const at = new Date(Date.parse('2026-01-05T07:00:00Z') + seconds * 1_000);
    const answer = await call(engine.sluice, trigger, 'a', '', at);
    expect(answer.status).toBe(status);
    if (status === 202) await finish(engine.sluice, answer.body.runId ?? '');
    else expect(answer.body.errors?.[0]?.message).toContain('more than five minutes');
  });

  it.each([
    ['[]', 'body'],
    ['5', 'body'],
    ['{"force": ', 'body'],
    ['{"force": "yes"}', 'force'],
  ])('whose body is %s is refused', async (body, field) => {
    await using engine = await startEngine();
    const { trigger } = await triggered(engine);
    expect(await call(engine.sluice, trigger, 'a', body)).toMatchObject({
      status: 400,
      body: { errors: [{ extensions: { code: 'BAD_USER_INPUT', field } }] },
    });
    expect(await runs(engine.sluice)).toEqual([]);
  });

  it('of more than 64 kB is refused before anything is looked at, and so is one that is compressed', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const { trigger } = await triggered(engine);
    const body = (size: number) => `{"a":"${'x'.repeat(size - 8)}"}`;
    expect((await post(sluice, '/hooks/unknown', body(65_537))).status).toBe(413);
    const compressed = gzipSync('{}');
    const headers = { ...signed(trigger.secret, 'a', compressed), 'content-encoding': 'gzip' };
    expect((await post(sluice, trigger.path, compressed, headers)).status).toBe(415);
    const taken = await call(sluice, trigger, 'a', body(65_536));
    expect(taken.status).toBe(202);
    await finish(sluice, taken.body.runId ?? '');
  });

  it('that comes too often is told when to come again, whether or not there is such a trigger', async () => {
    // It stands still, however long the machine takes.
    let nowMs = Date.parse('2026-01-05T06:00:00Z');
    const clock: Clock = { ...systemClock, now: () => nowMs, monotonic: () => nowMs };
    const env = { SLUICE_TRIGGER_CALLS_PER_MINUTE: '3' };
    await using engine = await startEngine({ sluice: { clock, env } });
    const { sluice } = engine;
    const { exportId, trigger } = await triggered(engine);
    const other = await createTrigger(sluice, exportId);
    for (const path of [trigger.path, '/hooks/01890000-0000-7000-8000-000000000000', '/hooks/x']) {
      for (let count = 0; count < 3; count += 1) expect((await post(sluice, path)).status).toBe(400);
      const refused = await post(sluice, path);
      expect(refused).toMatchObject({
        status: 429,
        body: { errors: [{ extensions: { code: 'RATE_LIMITED', retryAfterSeconds: 60 } }] },
      });
      expect(refused.headers.get('retry-after')).toBe('60');
    }
    expect((await post(sluice, other.path)).status).toBe(400);
    nowMs += 59_999;
    expect((await post(sluice, trigger.path)).status).toBe(429);
    nowMs += 1;
    expect((await post(sluice, trigger.path)).status).toBe(400);
  });

  it('is answered with the reason when the export cannot run, and may come again when it can', async () => {
    await using engine = await startEngine();
    const { sluice, connectionId } = engine;
    const { exportId, trigger } = await triggered(engine);
    await sluice.query('mutation ($id: ID!) { withdrawConsent(connectionId: $id) { id } }', {
      id: connectionId,
    });
    expect(await call(sluice, trigger, 'a')).toMatchObject({
      status: 409,
      body: { errors: [{ extensions: { code: 'CONSENT_REQUIRED' } }] },
    });
    await sluice.query('mutation ($ids: [ID!]!) { detachExports(ids: $ids) { id } }', { ids: [exportId] });
    expect(await call(sluice, trigger, 'a')).toMatchObject({
      status: 409,
      body: { errors: [{ extensions: { code: 'CONFLICT' } }] },
    });
    await sluice.query(
      'mutation ($id: ID!) { giveConsent(connectionId: $id, statementVersion: "2026-11-01") { id } }',
      {
        id: connectionId,
      },
    );
    await sluice.query(
      `mutation ($id: ID!, $connectionId: ID!) {
        connect(connectionId: $connectionId) { id }
        attachExport(id: $id, connectionId: $connectionId) { id }
      }`,
      { id: exportId, connectionId },
    );
    const taken = await call(sluice, trigger, 'a');
    expect(taken).toMatchObject({ status: 202, body: { duplicate: false } });
    await finish(sluice, taken.body.runId ?? '');
  });

  it.each(['trigger_calls', 'triggers'])(
    'is answered 503 with Retry-After when the database is away (%s)',
    async (table) => {
      await using engine = await startEngine();
      const { sluice } = engine;
      const { trigger } = await triggered(engine);
      await dropTable(sluice, table);
      const answer = await call(sluice, trigger, 'a');
      expect(answer).toMatchObject({
        status: 503,
        body: { errors: [{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }] },
      });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(await runs(sluice)).toEqual([]);
    },
  );
});

describe('the secret', () => {
  it.each(['SIGNATURE', 'BEARER'])(
    'before the last rotation works for 24 hours more, the one before that no longer: %s',
    async (authentication) => {
      const calendar = createCalendar('2026-01-05T06:00:00Z');
      await using engine = await startEngine({ sluice: calendar.options });
      const { sluice } = engine;
      const { trigger } = await triggered(engine, authentication);
      const status = async (secret: string, id: string) => {
        const at = new Date(calendar.clock.now());
        const bearer = { authorization: `Bearer ${secret}` };
        const headers = authentication === 'BEARER' ? bearer : signed(secret, id, '{}', at);
        const answer = await post(sluice, trigger.path, '{}', headers);
        if (answer.status === 202) await finish(sluice, answer.body.runId ?? '');
        return answer.status;
      };
      const first = trigger.secret;
      const second = await rotate(sluice, trigger.id);
      expect([await status(first, 'a'), await status(second, 'b')]).toEqual([202, 202]);
      const third = await rotate(sluice, trigger.id);
      expect(await status(first, 'c')).toBe(401);
      expect([await status(second, 'd'), await status(third, 'e')]).toEqual([202, 202]);
      await calendar.turnTo('2026-01-06T06:01:00Z');
      expect([await status(second, 'f'), await status(third, 'g')]).toEqual([401, 202]);
    },
  );

  it('is sent as it is by callers that cannot sign; with a webhook-id their repetitions are known too', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const { trigger } = await triggered(engine, 'BEARER');
    const authorization = `Bearer ${trigger.secret}`;
    for (const duplicate of [false, false]) {
      const answer = await post(sluice, trigger.path, '', { authorization });
      expect(answer).toMatchObject({ status: 202, body: { duplicate } });
      await finish(sluice, answer.body.runId ?? '');
    }
    const named = { authorization, 'webhook-id': 'a' };
    const first = await post(sluice, trigger.path, '', named);
    await finish(sluice, first.body.runId ?? '');
    expect((await post(sluice, trigger.path, '', named)).body).toEqual({
      runId: first.body.runId,
      duplicate: true,
    });
    expect(await runs(sluice)).toHaveLength(3);
  });

  it('is nowhere to be read in the database', async () => {
    await using folder = await temporaryFolder();
    await using engine = await startEngine({ sluice: { folder: folder.path } });
    const secrets = [
      (await triggered(engine)).trigger.secret,
      (await triggered(engine, 'BEARER')).trigger.secret,
    ];
    const stored = await storedIn(folder.path);
    for (const secret of secrets) expect(stored.includes(secret.replace('whsec_', ''))).toBe(false);
  });
});

describe('the command in the README', () => {
  it('signs', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const { trigger } = await triggered(engine);
    const script = readSteps(readFileSync('README.md', 'utf8'), '## Triggers')
      .filter(({ language }) => language === 'sh')
      .map(({ text }) => text)
      .join('\n')
      .replace('whsec_…', trigger.secret)
      .replace('http://127.0.0.1:4000/hooks/TRIGGER_ID', `${sluice.url}${trigger.path}`);
    const { stdout } = await promisify(execFile)('bash', ['-euc', script]);
    const { runId, duplicate } = JSON.parse(stdout) as { runId: string; duplicate: boolean };
    expect(duplicate).toBe(false);
    expect(await finish(sluice, runId)).toMatchObject({ state: 'SUCCEEDED' });
  });
});

describe('a server whose secret key was lost', () => {
  it('takes no signed call until the trigger has a new secret', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const server = { sandbox, folder: folder.path };
    let trigger: IssuedTrigger;
    {
      await using sluice = await startSluice(server);
      const connectionId = await connectedConnection(sluice, sandbox);
      trigger = await createTrigger(sluice, await exportOf({ sluice, connectionId }, people(1)));
    }
    await using sluice = await startSluice({ ...server, env: { SLUICE_SECRET_KEY: btoa('k'.repeat(32)) } });
    expect((await call(sluice, trigger, 'a')).status).toBe(503);
    const secret = await rotate(sluice, trigger.id);
    const taken = await call(sluice, { ...trigger, secret }, 'a');
    // The key of the connection cannot be read either: the run says so.
    expect(await finish(sluice, taken.body.runId ?? '')).toMatchObject({
      state: 'FAILED',
      problem: { code: 'CONNECTION_FAILED' },
    });
  });
});

describe('an export that is removed', () => {
  it('takes its triggers along', async () => {
    await using engine = await startEngine();
    const { sluice } = engine;
    const { exportId, trigger } = await triggered(engine);
    await sluice.query('mutation ($id: ID!) { removeExport(id: $id) }', { id: exportId });
    expect(await triggers(sluice)).toEqual([]);
    expect((await call(sluice, trigger, 'a')).status).toBe(401);
  });
});
