/** What was started and not yet stopped. A test file that leaves something running fails, and says what. */
const running = new Map<object, string>();

afterAll(async () => {
  const left = [...running.entries()];
  running.clear();
  for (const [thing] of left) {
    if (Symbol.asyncDispose in thing) await (thing as AsyncDisposable)[Symbol.asyncDispose]();
  }
  const names = left.map(([, name]) => name).join(', ');
  if (names !== '') throw new Error(`Left running: ${names}. Start it with \`await using\`, or stop it.`);
});

export function noteStart(thing: AsyncDisposable, name: string): void {
  running.set(thing, name);
}

export function noteStop(thing: object): void {
  running.delete(thing);
}
