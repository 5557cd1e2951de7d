import { oneBeside } from '../src/one-beside.js';

describe('work beside its caller', () => {
  it('goes on while the caller does, one piece at a time', async () => {
    await using beside = oneBeside();
    const events: string[] = [];
    const gate = Promise.withResolvers<undefined>();
    await beside.begin(async () => {
      events.push('first begins');
      await gate.promise;
      events.push('first ends');
    });
    events.push('the caller goes on');
    const second = beside.begin(() => {
      events.push('second begins');
      return Promise.resolve();
    });
    gate.resolve(undefined);
    await second;
    await beside.done();
    expect(events).toEqual(['first begins', 'the caller goes on', 'first ends', 'second begins']);
  });

  it('tells its failure to whoever begins the next, which does not begin', async () => {
    await using beside = oneBeside();
    await beside.begin(() => Promise.reject(new Error('disk full')));
    let hasBegun = false;
    const next = beside.begin(() => {
      hasBegun = true;
      return Promise.resolve();
    });
    await expect(next).rejects.toThrow('disk full');
    expect(hasBegun).toBe(false);
  });

  it('tells its failure to whoever waits for the last', async () => {
    await using beside = oneBeside();
    await beside.begin(() => Promise.reject(new Error('disk full')));
    await expect(beside.done()).rejects.toThrow('disk full');
  });

  it('has ended when the caller gives up because of something else, whose error counts', async () => {
    const gate = Promise.withResolvers<undefined>();
    let hasEnded = false;
    const giveUp = async () => {
      await using beside = oneBeside();
      await beside.begin(async () => {
        await gate.promise;
        hasEnded = true;
        throw new Error('too late to matter');
      });
      gate.resolve(undefined);
      throw new Error('cancelled');
    };
    await expect(giveUp()).rejects.toThrow('cancelled');
    expect(hasEnded).toBe(true);
  });
});
