import type { EntityManager } from 'typeorm';
import { createAddressHolds } from '../src/exports/address-holds.js';
import type { ExportRun } from '../src/entities/export-run.js';

const RUN = { id: 'mine', account: 'acme', listId: '1' } as ExportRun;
const OTHER_RUN_ID = 'other';
const CONTACTS = [{ emailKey: 'a@example.com' }];

/** A database whose answers the test gives. */
function database() {
  const questions: PromiseWithResolvers<unknown[]>[] = [];
  const manager = {
    connection: { options: { type: 'sqlite' } },
    query: () => {
      const question = Promise.withResolvers<unknown[]>();
      questions.push(question);
      return question.promise;
    },
  } as unknown as EntityManager;
  return { manager, questions };
}

describe('contacts that another run has under way', () => {
  it('wait for its batch, and nobody asks the database again before that is decided', async () => {
    const { manager, questions } = database();
    const holds = createAddressHolds();
    const held = holds.isHeld(manager, RUN, CONTACTS);
    questions[0]?.resolve([{ batchId: 7, runId: OTHER_RUN_ID }]);
    expect(await held).toBe(true);
    expect(await holds.isHeld(manager, RUN, CONTACTS)).toBe(true);
    expect(questions).toHaveLength(1);
    holds.decided(7);
    const free = holds.isHeld(manager, RUN, CONTACTS);
    questions[1]?.resolve([]);
    expect(await free).toBe(false);
  });

  it('ask again when the batch was decided while the database was asked', async () => {
    const { manager, questions } = database();
    const holds = createAddressHolds();
    const held = holds.isHeld(manager, RUN, CONTACTS);
    holds.decided(7);
    questions[0]?.resolve([{ batchId: 7, runId: OTHER_RUN_ID }]);
    expect(await held).toBe(true);
    const free = holds.isHeld(manager, RUN, CONTACTS);
    questions[1]?.resolve([]);
    expect(await free).toBe(false);
  });
});
