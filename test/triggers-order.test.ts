import { gzipSync } from 'node:zlib';
import { exportOf, finish, people, startEngine } from './helpers/engine.js';
import { call, createTrigger, post, signed } from './helpers/trigger-calls.js';

const SPENT = '192.0.2.1';
const FRESH = '192.0.2.2';
const OLD = new Date('2026-01-01T00:00:00Z');

describe('what is looked at in a call', () => {
  it('comes in this order: size, rate of the address, of the trigger, headers, time, signature, JSON, repetition', async () => {
    const env = {
      SLUICE_TRUSTED_PROXIES: 'loopback',
      SLUICE_RATE_PER_ADDRESS: '100',
      SLUICE_TRIGGER_CALLS_PER_MINUTE: '7',
    };
    await using engine = await startEngine({ sluice: { env } });
    const { sluice } = engine;
    const exportId = await exportOf(engine, people(1));
    const trigger = await createTrigger(sluice, exportId);
    const exhausted = await createTrigger(sluice, exportId);
    const taken = await call(sluice, trigger, 'a', '{}');
    await finish(sluice, taken.body.runId ?? '');
    const from = (address: string) => ({ 'x-forwarded-for': address });
    for (let count = 0; count < 100; count += 1)
      await fetch(`${sluice.url}/nowhere`, { headers: from(SPENT) });
    for (let count = 0; count < 7; count += 1) await post(sluice, exhausted.path, '', from(FRESH));

    const long = gzipSync(Buffer.alloc(70_000, crypto.randomUUID()), { level: 0 });
    const compressed = { 'content-encoding': 'gzip' };
    const unsigned = (at?: Date, id = 'a') => ({
      ...signed(trigger.secret, id, '', at),
      'webhook-signature': 'v1,AAAA',
    });
    const other = { 'webhook-id': 'a.b' };
    const attempts = [
      // Each is wrong in everything that comes after as well.
      [exhausted, SPENT, long, { ...unsigned(OLD), ...other, ...compressed }],
      [exhausted, SPENT, 'no JSON', { ...unsigned(OLD), ...other, ...compressed }],
      [exhausted, FRESH, 'no JSON', { ...unsigned(OLD), ...other, ...compressed }],
      [trigger, FRESH, 'no JSON', { ...unsigned(OLD), ...other, ...compressed }],
      [trigger, FRESH, 'no JSON', { ...unsigned(OLD), ...other }],
      [trigger, FRESH, 'no JSON', unsigned(OLD)],
      [trigger, FRESH, 'no JSON', unsigned()],
      [trigger, FRESH, 'no JSON', signed(trigger.secret, 'a', 'no JSON')],
      [trigger, FRESH, '{ }', signed(trigger.secret, 'a', '{ }')],
    ] as const;
    const seen: string[] = [];
    for (const [{ path }, address, body, headers] of attempts) {
      const { status, body: answer } = await post(sluice, path, body, { ...headers, ...from(address) });
      seen.push(`${status} ${answer.errors?.[0]?.message ?? ''}`);
    }
    expect(seen).toEqual([
      '413 The body is longer than 64 kB.',
      '429 Too many requests come from this address.',
      '429 The trigger is called too often.',
      '415 The body has a Content-Encoding.',
      '400 The header webhook-id is not 1 to 200 visible ASCII characters without a dot.',
      expect.stringMatching(/^401 The webhook-timestamp is more than five minutes away/),
      expect.stringMatching(/^401 There is no such trigger, it is disabled, or/),
      '400 The body is no JSON object.',
      '409 This webhook-id came with another body before.',
    ]);
  });
});
