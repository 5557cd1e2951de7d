import { startSandbox, type SandboxOptions } from '../../sandbox/sandbox.js';
import type { Contact, ContactBatch } from '../../src/destinations/destination.js';
import { createPatience } from './patience.js';
import { activeCampaignAt, fakeTime, startStub, type StubAnswer } from './stub-destination.js';

export const ANA = { email: 'ana@example.com', firstName: 'Ana', lastName: 'Díaz', phone: '245-555-0173' };
export const BO = { email: 'bo@example.com' };
export const CY = { email: "cy.o'hara@example.com", firstName: '' };

export const batchOf = (contacts: readonly Contact[], runAutomations = true): ContactBatch => ({
  listId: '1',
  contacts,
  runAutomations,
});

/** The importer's two calls, made by the real adapter; `close` closes everything that was opened. */
export function importerBench() {
  const open: { close(): Promise<void> }[] = [];

  const callsTo = (host: string, apiKey: string, options: Parameters<typeof activeCampaignAt>[1]) => {
    const destination = activeCampaignAt([host], options);
    const credentials = { host, apiKey };
    return {
      send: (batch: ContactBatch) => destination.send(credentials, batch),
      outcome: (receipt: string) => destination.outcome(credentials, receipt),
    };
  };

  return {
    /** A sandbox, and the adapter that talks to it in its time, which passes only while somebody sleeps. */
    atSandbox: async (options: SandboxOptions = {}) => {
      const clock = fakeTime();
      const sandbox = await startSandbox({
        quotas: false,
        keepBodies: true,
        now: () => clock.now(),
        ...options,
      });
      open.push(sandbox);
      const { startDeadline, runOutAt } = createPatience();
      runOutAt(sandbox);
      return { clock, sandbox, ...callsTo(sandbox.host, sandbox.token, { clock, startDeadline }) };
    },

    /** The adapter in front of a server that gives this answer to every call of the importer. */
    atStub: async (answer: StubAnswer, userAnswer: StubAnswer = { body: { user: {} } }) => {
      const stub = await startStub(({ path }) => (path === '/users/me' ? userAnswer : answer));
      open.push(stub);
      return { stub, ...callsTo(stub.host, 'key', {}) };
    },

    close: async () => {
      await Promise.all(open.splice(0).map((server) => server.close()));
    },
  };
}
