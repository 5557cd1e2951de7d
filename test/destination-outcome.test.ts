import { RetryLaterError } from '../src/destinations/destination.js';
import { ANA, batchOf, BO, importerBench } from './helpers/importer-bench.js';
import { errorOf } from './helpers/stub-destination.js';

describe('the outcome of a batch', () => {
  const { atSandbox, atStub, close } = importerBench();

  afterEach(close);

  it('is pending until it is completed', async () => {
    const { send, outcome, clock } = await atSandbox();
    const receipt = await send(batchOf([ANA, BO]));
    const states: string[] = [];
    for (let second = 0; second < 10; second++) {
      states.push((await outcome(receipt)).state);
      await clock.sleep(1_000);
    }
    expect(new Set(states)).toEqual(new Set(['PENDING', 'COMPLETED']));
    expect(states.indexOf('COMPLETED')).toBeGreaterThan(states.lastIndexOf('PENDING'));
  });

  it.each([
    [false, false],
    ['waiting', false],
    ['claimed', false],
    ['active', true],
  ] as const)('is pending while it is %s, and says whether it was begun', async (status, begun) => {
    const { sandbox, send, outcome, clock } = await atSandbox();
    sandbox.addFault({ on: 'importer', action: { type: 'withhold', status } });
    const receipt = await send(batchOf([ANA]));
    await clock.sleep(60_000);
    const at = Math.floor(clock.now() / 1_000) * 1_000;
    await expect(outcome(receipt)).resolves.toEqual({ state: 'PENDING', begun, at });
  });

  it('names the addresses that failed, and why that may be', async () => {
    const { sandbox, send, outcome, clock } = await atSandbox();
    sandbox.exclude(BO.email);
    const receipt = await send(batchOf([ANA, { email: 'Bo@Example.com' }]));
    await clock.sleep(60_000);
    await expect(outcome(receipt)).resolves.toEqual({
      state: 'COMPLETED',
      failures: ['Bo@Example.com'],
      possibleReasons: expect.stringContaining('unsubscribed') as string,
      at: Math.floor(clock.now() / 1_000) * 1_000,
    });
  });

  it.each(['failed', 'interrupted'] as const)('is lost when it has %s', async (status) => {
    const { sandbox, send, outcome, clock } = await atSandbox();
    sandbox.addFault({ on: 'importer', action: { type: 'batch', status } });
    const receipt = await send(batchOf([ANA]));
    await clock.sleep(60_000);
    await expect(outcome(receipt)).resolves.toMatchObject({
      state: 'LOST',
      detail: expect.stringContaining(status) as string,
    });
  });

  it.each([
    ['an unknown status', { status: 'dancing', success: [], failure: [] }],
    ['no status', { success: [], failure: [] }],
    ['status true', { status: true, success: [], failure: [] }],
    ['completed without failures', { status: 'completed', success: ['1'] }],
    ['failures that are no addresses', { status: 'completed', success: [], failure: [{ email: 'a@b.co' }] }],
    ['failures that are no list', { status: 'completed', success: [], failure: '0' }],
    ['a web page', '<html></html>'],
  ])('is asked for again after %s', async (_, body) => {
    const { outcome } = await atStub({ body });
    expect(await errorOf(outcome('b-1'))).toBeInstanceOf(RetryLaterError);
  });

  it('keeps its name whatever that is made of', async () => {
    const { stub, outcome } = await atStub({ body: { status: false } });
    await outcome('a&b=c/../d');
    expect(stub.calls[0]?.path).toBe('/import/info?batchId=a%26b%3Dc%2F..%2Fd');
  });
});
