import { parseCommandLine, USAGE } from './command-line.js';
import { startSandbox } from './sandbox.js';
import { SandboxInputError } from './settings.js';

/** The command `npm run sandbox -- …`: one sandbox, until SIGINT or SIGTERM. */
async function main(): Promise<void> {
  const command = parseCommandLine(process.argv.slice(2));
  if (command === 'help') {
    process.stdout.write(USAGE);
    return;
  }
  const sandbox = await startSandbox(command.options);
  const { url, token, host } = sandbox;
  const lists = sandbox.summary().lists.map(({ id, name }) => ({ id, name }));
  const { timeScale } = sandbox.summary();
  process.stdout.write(
    command.json
      ? `${JSON.stringify({ msg: 'listening', url, host, token, lists, timeScale, pid: process.pid })}\n`
      : `ActiveCampaign sandbox: ${url}/api/3, key ${token}, lists ${lists.map(({ id, name }) => `${id} ${name}`).join(', ')}, time × ${timeScale}. Control: ${url}/sandbox/state\n`,
  );
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void sandbox.close());
}

try {
  await main();
} catch (error: unknown) {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`sandbox: ${message}\n`);
  process.exitCode = error instanceof SandboxInputError ? 2 : 1;
}
