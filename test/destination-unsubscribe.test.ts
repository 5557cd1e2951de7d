import type { Contact } from '../src/destinations/destination.js';
import { ANA, batchOf, BO, CY, importerBench } from './helpers/importer-bench.js';
import { activeCampaignAt, startStub } from './helpers/stub-destination.js';

const LEAVER: Contact = { email: ANA.email, unsubscribe: true };

describe('a contact that is to be taken off the list', () => {
  const { atSandbox, close } = importerBench();

  afterEach(close);

  it('goes with its address alone, beside contacts that are put on it', async () => {
    const { sandbox, send } = await atSandbox();
    await send(
      batchOf([
        { ...ANA, unsubscribe: true },
        { ...BO, unsubscribe: false },
      ]),
    );
    expect(JSON.parse(sandbox.log.at(-1)?.body ?? '')).toEqual({
      contacts: [
        { email: ANA.email, unsubscribe: [{ listid: 1 }] },
        { email: BO.email, subscribe: [{ listid: 1 }] },
      ],
    });
  });

  it('loses the list and nothing else', async () => {
    const { sandbox, send, outcome, clock } = await atSandbox({
      lists: [
        { id: 1, name: 'A' },
        { id: 2, name: 'B' },
      ],
    });
    sandbox.addContacts([{ ...ANA, lists: [1, 2] }]);
    await clock.sleep(1_000);
    const receipt = await send(batchOf([LEAVER, BO]));
    await clock.sleep(6_000);
    await expect(outcome(receipt)).resolves.toMatchObject({ state: 'COMPLETED', failures: [] });
    expect([...sandbox.members(1)]).toEqual([BO.email]);
    expect([...sandbox.members(2)]).toEqual([ANA.email]);
    expect(sandbox.contact(ANA.email)).toMatchObject({
      firstName: ANA.firstName,
      lastName: ANA.lastName,
      phone: ANA.phone,
      lists: [
        { list: 1, status: 2, udate: '2025-12-31T19:00:07-05:00', unsubreason: '', campaign: null },
        {},
      ],
    });
  });

  it('keeps its own opt-out', async () => {
    const { sandbox, send, outcome, clock } = await atSandbox();
    sandbox.addContacts([{ ...ANA, lists: [1] }]);
    sandbox.unsubscribe(ANA.email, 1, { reason: 'too many' });
    const before = sandbox.contact(ANA.email)?.lists;
    const receipt = await send(batchOf([LEAVER, BO]));
    await clock.sleep(60_000);
    await expect(outcome(receipt)).resolves.toMatchObject({ failures: [] });
    expect(sandbox.contact(ANA.email)?.lists).toEqual(before);
  });

  it('is made and unsubscribed when it is unknown, like any contact of an import', async () => {
    const { sandbox, send, outcome, clock } = await atSandbox();
    const receipt = await send(batchOf([LEAVER, BO]));
    await clock.sleep(60_000);
    await expect(outcome(receipt)).resolves.toMatchObject({ failures: [] });
    expect([...sandbox.members(1, 2)]).toEqual([ANA.email]);
  });

  it('is reported when the importer never takes the address', async () => {
    const { sandbox, send, outcome, clock } = await atSandbox();
    sandbox.addContacts([{ ...ANA, lists: [1] }]);
    sandbox.bounce(ANA.email);
    const receipt = await send(batchOf([LEAVER, { email: CY.email, unsubscribe: true }, BO]));
    await clock.sleep(60_000);
    await expect(outcome(receipt)).resolves.toMatchObject({ failures: [ANA.email, CY.email] });
  });

  it('is counted by its bytes exactly, with its comma', async () => {
    const stub = await startStub(() => ({ body: { batchId: 'b-1' } }));
    const destination = activeCampaignAt([stub.host]);
    const contacts: Contact[] = [LEAVER, ANA, { email: 'é@ü.example', firstName: 'x', unsubscribe: true }];
    await destination.send(
      { host: stub.host, apiKey: 'k' },
      { listId: '12', contacts, runAutomations: false },
    );
    await stub.close();
    const envelope = 399_999 - destination.limits(stub.host).bytesPerBatch;
    const counted = contacts.reduce((sum, contact) => sum + destination.bytesOf(contact, '12'), envelope - 1);
    expect(stub.calls.map(({ body }) => Buffer.byteLength(body))).toEqual([counted]);
  });
});
