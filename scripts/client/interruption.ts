/** Somebody pressed Ctrl-C, closed the terminal, or asked the process to end. */
export class Interruption extends Error {
  constructor(readonly exitCode: number) {
    super('Stopped.');
  }
}

/** By custom, 128 and the number of the signal. */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Under npm one Ctrl-C comes twice: the terminal sends it to npm and to this process, and npm passes its own on. */
const SAME_CTRL_C_MS = 1_000;

/** Aborts with an Interruption at the first signal, so that everything is put down in order; a second one ends at once. */
export function interruptionSignal(): AbortSignal {
  const interruption = new AbortController();
  let isSameCtrlC = false;
  for (const [name, exitCode] of Object.entries(EXIT_CODES)) {
    process.on(name, () => {
      if (name === 'SIGINT' && isSameCtrlC) return;
      isSameCtrlC = true;
      setTimeout(() => (isSameCtrlC = false), SAME_CTRL_C_MS).unref();
      if (interruption.signal.aborted) process.exit(exitCode);
      interruption.abort(new Interruption(exitCode));
    });
  }
  return interruption.signal;
}

/** Resolves when the signal aborts. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true });
  });
}
