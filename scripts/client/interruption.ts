/** Somebody pressed Ctrl-C, closed the terminal, or asked the process to end. */
export class Interruption extends Error {
  constructor(readonly exitCode: number) {
    super('Stopped.');
  }
}

/** By custom, 128 and the number of the signal. */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** How often it is looked whether the shell of `npm run` is still there. */
const SHELL_CHECK_MS = 500;

/** Aborts with an Interruption at the first signal, so that everything is put down in order; a second one ends at once. */
export function interruptionSignal(): AbortSignal {
  const interruption = new AbortController();
  for (const [name, exitCode] of Object.entries(EXIT_CODES)) {
    process.on(name, () => {
      if (interruption.signal.aborted) process.exit(exitCode);
      interruption.abort(new Interruption(exitCode));
    });
  }
  // npm passes a SIGTERM to its shell, which ends and leaves this process behind, with another parent.
  if (process.env.npm_lifecycle_event !== undefined) {
    const shell = process.ppid;
    const check = setInterval(() => {
      if (process.ppid === shell) return;
      clearInterval(check);
      interruption.abort(new Interruption(EXIT_CODES.SIGTERM));
    }, SHELL_CHECK_MS);
    check.unref();
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
