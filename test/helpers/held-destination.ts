import { EventEmitter, once } from 'node:events';
import { startStub } from './stub-destination.js';

/** A destination that accepts every key, but answers nothing until it is let go. */
export interface HeldDestination extends AsyncDisposable {
  readonly host: string;
  /** Resolves when it is asked for the first time. */
  readonly asked: Promise<unknown>;
  letGo(): void;
}

export async function startHeldDestination(): Promise<HeldDestination> {
  const bell = new EventEmitter();
  const asked = once(bell, 'asked');
  const released = once(bell, 'released');
  const stub = await startStub(() => (_request, response) => {
    bell.emit('asked');
    void released.then(() => response.end('{"user":{"id":"1","links":{}},"lists":[]}'));
  });
  return {
    host: stub.host,
    asked,
    letGo: () => {
      bell.emit('released');
    },
    [Symbol.asyncDispose]: () => stub.close(),
  };
}
