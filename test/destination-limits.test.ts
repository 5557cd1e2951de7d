import type { Contact } from '../src/destinations/destination.js';
import { ANA, BO, CY } from './helpers/importer-bench.js';
import { activeCampaignAt, startStub } from './helpers/stub-destination.js';

describe('the limits', () => {
  const contacts: Contact[] = [
    ANA,
    BO,
    CY,
    { email: 'é@ü.example', firstName: '"\\\n\u0000', lastName: '\ud83d\ude00 \ud83d', phone: '' },
  ];

  it('hold the body of a full batch under what the importer takes, and waste next to nothing', async () => {
    const stub = await startStub(() => ({ body: { batchId: 'b-1' } }));
    const destination = activeCampaignAt([stub.host]);
    const { bytesPerBatch } = destination.limits(stub.host);
    for (const runAutomations of [true, false]) {
      const batch: Contact[] = [];
      let bytes = 0;
      for (let n = 0; ; n++) {
        const contact = { ...(contacts[n % contacts.length] ?? ANA), phone: 'ü'.repeat(n % 7) };
        bytes += destination.bytesOf(contact, '12');
        if (bytes > bytesPerBatch) break;
        batch.push(contact);
      }
      await destination.send(
        { host: stub.host, apiKey: 'k' },
        { listId: '12', contacts: batch, runAutomations },
      );
    }
    const sizes = stub.calls.map(({ body }) => Buffer.byteLength(body));
    await stub.close();
    for (const size of sizes) {
      expect(size).toBeLessThanOrEqual(399_999);
      expect(size).toBeGreaterThan(399_600);
    }
  });

  it('count a contact exactly, with its comma', async () => {
    const stub = await startStub(() => ({ body: { batchId: 'b-1' } }));
    const destination = activeCampaignAt([stub.host]);
    const credentials = { host: stub.host, apiKey: 'k' };
    for (const some of [contacts.slice(0, 1), contacts]) {
      await destination.send(credentials, { listId: '3', contacts: some, runAutomations: false });
    }
    await stub.close();
    const envelope = 399_999 - destination.limits(stub.host).bytesPerBatch;
    const counted = (some: readonly Contact[]) =>
      some.reduce((sum, contact) => sum + destination.bytesOf(contact, '3'), envelope - 1);
    expect(stub.calls.map(({ body }) => Buffer.byteLength(body))).toEqual([
      counted(contacts.slice(0, 1)),
      counted(contacts),
    ]);
  });

  it('know quickly how many bytes a contact takes at most, whatever it is made of', () => {
    const destination = activeCampaignAt([]);
    for (const contact of [...contacts, { email: 'a@b.cd' }, { email: 'a@b.cd', unsubscribe: true }]) {
      const atMost = destination.bytesAtMost(contact, '123');
      expect(atMost).toBeGreaterThanOrEqual(destination.bytesOf(contact, '123'));
    }
    const worst = { email: '\u0000', firstName: '\ud83d', lastName: '\u0001', phone: '\u001f' };
    expect(destination.bytesAtMost(worst, '1') - destination.bytesOf(worst, '1')).toBeLessThanOrEqual(1);
  });

  it('are those of the reference at real hosts, whatever the time scale of sandboxes', () => {
    const destination = activeCampaignAt(['127.0.0.1:1'], { sandboxTimeScale: 60 });
    expect(destination.limits('acme.api-us1.com')).toMatchObject({
      contactsPerBatch: 250,
      batchIntervalMs: 600,
      singleIntervalMs: 3_000,
      callIntervalMs: 250,
      batchQuota: { calls: 100, windowMs: 60_000 },
      singleQuota: { calls: 20, windowMs: 60_000 },
      callQuota: { calls: 5, windowMs: 1_000 },
      firstOutcomeMs: 7_000,
      outcomeIntervalMs: 4_000,
      retryIntervalMs: 1_000,
      testIntervalMs: 60_000,
      lostAfterMs: 300_000,
      unansweredAfterMs: 60_000,
    });
    expect(destination.limits('127.0.0.1:1')).toMatchObject({
      contactsPerBatch: 250,
      batchIntervalMs: 10,
      singleIntervalMs: 50,
      batchQuota: { calls: 100, windowMs: 1_000 },
      // Time at a sandbox has a floor.
      lostAfterMs: 60_000,
    });
  });

  it('leave the wire its time at sandboxes whose time flies', () => {
    const limits = activeCampaignAt(['127.0.0.1:1'], { sandboxTimeScale: 100_000 }).limits('127.0.0.1:1');
    expect(limits).toMatchObject({ lostAfterMs: 60_000, retryIntervalMs: 10, unansweredAfterMs: 20 });
  });
});
