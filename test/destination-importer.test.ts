import {
  FixCredentialsError,
  RefusedContactsError,
  RetryLaterError,
} from '../src/destinations/destination.js';
import { ANA, batchOf, BO, CY, importerBench } from './helpers/importer-bench.js';
import { errorOf } from './helpers/stub-destination.js';

describe('a batch of contacts', () => {
  const { atSandbox, atStub, close } = importerBench();

  afterEach(close);

  describe('when it is sent', () => {
    it('arrives as it was meant', async () => {
      const { sandbox, send } = await atSandbox();
      const receipt = await send(batchOf([ANA, BO, CY]));
      const call = sandbox.log.at(-1);
      expect(call).toMatchObject({ kind: 'importer', batchId: receipt, contacts: 3 });
      expect(JSON.parse(call?.body ?? '')).toEqual({
        contacts: [
          {
            email: 'ana@example.com',
            first_name: 'Ana',
            last_name: 'Díaz',
            phone: '245-555-0173',
            subscribe: [{ listid: 1 }],
          },
          { email: 'bo@example.com', subscribe: [{ listid: 1 }] },
          { email: "cy.o'hara@example.com", first_name: '', subscribe: [{ listid: 1 }] },
        ],
      });
    });

    it('runs automations only if it is told to', async () => {
      const { sandbox, send, clock } = await atSandbox();
      await send(batchOf([ANA]));
      await send(batchOf([BO], false));
      await clock.sleep(60_000);
      expect(sandbox.contact(ANA.email)?.automations).toBe(1);
      expect(sandbox.contact(BO.email)).toMatchObject({ imports: 1, automations: 0 });
    });

    it.each(['recorded', 'documented'] as const)(
      'is known to be queued by the %s answer',
      async (answers) => {
        const { sandbox, send } = await atSandbox({ answers });
        const receipt = await send(batchOf([ANA]));
        expect(sandbox.batches().map(({ batchId }) => batchId)).toEqual([receipt]);
      },
    );

    it('is known to be queued by its batchId, however the rest is spelled', async () => {
      const { send } = await atStub({
        status: 201,
        body: { success: 5, queued_contacts: 2, BatchID: 'b-1' },
      });
      await expect(send(batchOf([ANA]))).resolves.toBe('b-1');
    });

    it.each([
      ['a web page', '<html></html>'],
      ['JSON without a batchId', { success: 1 }],
      ['an empty batchId', { success: 1, batchId: '' }],
      ['nothing', ''],
      ['a list', '[]'],
    ])('is not taken for queued after 200 with %s', async (_, body) => {
      const { send } = await atStub({ body });
      expect(await errorOf(send(batchOf([ANA])))).toBeInstanceOf(RetryLaterError);
    });
  });

  describe('when it is refused', () => {
    it('names the contact that is to blame by its place from 0', async () => {
      const { sandbox, send } = await atSandbox();
      sandbox.refuseAddresses({ emails: [BO.email], how: 'named', reason: 'No such person' });
      const error = await errorOf(send(batchOf([ANA, BO, CY])));
      expect(error).toBeInstanceOf(RefusedContactsError);
      expect(error).toMatchObject({ named: new Map([[1, 'No such person']]) });
      expect(error.message).toMatch(/did not pass validation/);
      expect(sandbox.contactCount).toBe(0);
    });

    it('names nobody when the importer does not', async () => {
      const { sandbox, send } = await atSandbox();
      sandbox.refuseAddresses({ emails: [BO.email], how: 'unnamed', reason: 'Somebody is odd' });
      const error = await errorOf(send(batchOf([ANA, BO, CY])));
      expect(error).toMatchObject({ name: 'RefusedContactsError', named: new Map() });
      expect(error.message).toMatch(/Somebody is odd/);
    });

    const refused = (failureReasons: unknown, message = 'Not so.') => ({
      status: 400,
      headers: { 'content-type': 'text/html' },
      body: { Success: 0, message, failureReasons },
    });

    it.each([
      ['a place beyond the batch', [{ contact: 4, failureReason: 'x' }]],
      [
        'place 0, beside a good one',
        [
          { contact: 1, failureReason: 'x' },
          { contact: 0, failureReason: 'x' },
        ],
      ],
      ['half a place', [{ contact: 1.5, failureReason: 'x' }]],
      ['no place', [{ failureReason: 'x' }]],
      ['no reasons', undefined],
      ['an empty list of reasons', []],
    ])('names nobody after %s', async (_, reasons) => {
      const { send } = await atStub(refused(reasons));
      const error = await errorOf(send(batchOf([ANA, BO, CY])));
      expect(error).toMatchObject({ name: 'RefusedContactsError', named: new Map() });
    });

    it('gathers all reasons of one contact, and reads places in quotes', async () => {
      const { send } = await atStub(
        refused([
          { contact: '3', failureReason: 'odd' },
          { contact: 3, failureReason: 'and late' },
          { contact: 1 },
        ]),
      );
      await expect(send(batchOf([ANA, BO, CY]))).rejects.toMatchObject({
        named: new Map([
          [2, 'odd; and late'],
          [0, 'ActiveCampaign gave no reason.'],
        ]),
      });
    });

    it('gives reasons that every database can store', async () => {
      const failureReason = `${'x'.repeat(498)}\0👩`;
      const { send } = await atStub(refused([{ contact: 1, failureReason }]));
      expect(await errorOf(send(batchOf([ANA])))).toMatchObject({
        named: new Map([[0, `${'x'.repeat(498)}\ufffd\ufffd`]]),
      });
    });

    it('does not take a validation for the quota because of its words', async () => {
      const { send } = await atStub(
        refused([{ contact: 1, failureReason: 'odd' }], 'No rate limit, but odd.'),
      );
      expect(await errorOf(send(batchOf([ANA])))).toBeInstanceOf(RefusedContactsError);
    });

    it('may be split when it is too large for the importer', async () => {
      const { send } = await atStub({ status: 413, body: '<html></html>' });
      expect(await errorOf(send(batchOf([ANA, BO])))).toMatchObject({ named: new Map() });
    });

    it('is tried again later after a 400 that is not the importer’s', async () => {
      const { send } = await atStub({ status: 400, body: '<html></html>' });
      expect(await errorOf(send(batchOf([ANA])))).toBeInstanceOf(RetryLaterError);
    });
  });

  describe('when the quota is used up', () => {
    it('is tried again after a minute', async () => {
      const { send } = await atSandbox({ quotas: true, importsPerMinute: 1 });
      await send(batchOf([ANA, BO]));
      const error = await errorOf(send(batchOf([ANA, CY])));
      expect(error).toBeInstanceOf(RetryLaterError);
      expect(error).toMatchObject({ afterMs: 60_000, tooFast: true });
    });

    it.each([
      { message: 'Rate limit exceeded.', failureReasons: ['Up to 100 imports may be requested per minute.'] },
      { message: 'Refused.', failureReasons: ['Up to 20 imports may be requested per minute.'] },
      { message: 'Refused.', failureReasons: ['Rate limit exceeded.'] },
      { message: 'RATE LIMIT exceeded.' },
    ])('is recognised by %j', async (body) => {
      const { send } = await atStub({ status: 400, body: { success: 0, ...body } });
      await expect(send(batchOf([ANA]))).rejects.toMatchObject({ name: 'RetryLaterError', tooFast: true });
    });
  });

  describe('when the credentials are in doubt', () => {
    it.each([
      ['403', { type: 'answer', status: 403 }],
      ['401', { type: 'answer', status: 401 }],
      ['402', { type: 'answer', status: 402 }],
      ['redirect', { type: 'redirect' }],
    ] as const)('is tried again later after a passing %s', async (_, action) => {
      const { sandbox, send } = await atSandbox();
      sandbox.addFault({ on: 'importer', action });
      expect(await errorOf(send(batchOf([ANA])))).toBeInstanceOf(RetryLaterError);
      expect(sandbox.log.map(({ kind }) => kind)).toEqual(['importer', 'me']);
    });

    it('is WRONG_KEY only after /users/me has said so twice, five seconds apart', async () => {
      const { sandbox, send, outcome, clock } = await atSandbox();
      const receipt = await send(batchOf([ANA]));
      sandbox.revokeKey();
      for (const call of [() => send(batchOf([BO])), () => outcome(receipt)]) {
        const error = await errorOf(call());
        expect(error).toBeInstanceOf(FixCredentialsError);
        expect(error).toMatchObject({ code: 'WRONG_KEY' });
      }
      expect(clock.slept).toEqual([5_000, 5_000]);
      expect(sandbox.log.map(({ kind }) => kind)).toEqual(
        ['importer', ['importer', 'me', 'me'], ['info', 'me', 'me']].flat(),
      );
    });

    it.each([
      ['WRONG_ACCOUNT', { status: 302, headers: { location: 'https://example.com' } }],
      ['ACCOUNT_UNPAID', { status: 402 }],
    ])('is %s when /users/me says so too', async (code, answer) => {
      const { send } = await atStub(answer, answer);
      await expect(send(batchOf([ANA]))).rejects.toMatchObject({ code });
    });
  });

  it.each([
    ['429', { type: 'rate-limit', retryAfterSeconds: 7 }, { afterMs: 7_000, tooFast: true }],
    ['503', { type: 'answer', status: 503 }, { afterMs: undefined, tooFast: true }],
    ['500', { type: 'answer', status: 500 }, { tooFast: false }],
    ['a web page with 200', { type: 'html' }, { tooFast: false }],
    ['a web page with 404', { type: 'html', status: 404 }, { tooFast: false }],
    ['an unknown status', { type: 'answer', status: 418 }, { tooFast: false }],
    ['a broken connection', { type: 'reset', when: 'before' }, { tooFast: false }],
    ['a connection that breaks when all is done', { type: 'reset', when: 'after' }, { tooFast: false }],
    ['half an answer', { type: 'truncate' }, { tooFast: false }],
    ['no answer', { type: 'hang', when: 'after' }, { tooFast: false }],
  ] as const)('is tried again later after %s', async (_, action, expected) => {
    const { sandbox, send, outcome } = await atSandbox();
    const receipt = await send(batchOf([ANA]));
    sandbox.addFault({ on: 'importer', action });
    sandbox.addFault({ on: 'info', action });
    for (const call of [() => send(batchOf([BO])), () => outcome(receipt)]) {
      const error = await errorOf(call());
      expect(error).toBeInstanceOf(RetryLaterError);
      expect(error).toMatchObject(expected);
    }
  });
});
