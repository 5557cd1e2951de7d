import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { SandboxOptions } from './sandbox.js';
import { SandboxInputError } from './settings.js';

export const USAGE = `An ActiveCampaign of one's own: its API v3, on this machine, for tests and demos.

  npm run sandbox -- --port 4010 --token KEY --lists 1:Newsletter,2:Offers --time-scale 60

  --port N              port to listen at; 0 takes a free one (default 4010)
  --host ADDRESS        address to listen at (default 127.0.0.1)
  --token KEY           API key that works; may be repeated (default: one is made and printed)
  --lists ID:NAME,…     lists of the account; may be repeated (default 1:Newsletter)
  --account NAME        the account's name, as in NAME.api-us1.com (default sandbox)
  --accept-host HOST    Host header that is the account's; may be repeated (default: any)
  --time-scale N        sandbox time runs N times as fast (default 1; 100000 is as good as no quota)
  --processing-ms N     sandbox time from a batch's acceptance to its end (default 6000)
  --subscriber-limit N  contacts that the account may hold (default: no limit)
  --retry-after N       seconds of sandbox time that a 429 asks for (default 1)
  --no-quotas           enforce no quota
  --documented          answer as documented (Success, application/json), not as recorded
  --keep-bodies         keep the bodies of importer calls in the log
  --json                print where it listens as one line of JSON
  --help                print this
`;

export interface Command {
  options: SandboxOptions;
  json: boolean;
}

/** The command line as options. @throws SandboxInputError naming the flag that is wrong */
export function parseCommandLine(args: string[]): Command | 'help' {
  const flags = readFlags(args);
  if (flags.help === true) return 'help';
  const number = (name: string, value: string | undefined, whole: boolean): number | undefined => {
    if (value === undefined) return undefined;
    const parsed = Number(value);
    if (
      value.trim() === '' ||
      !Number.isFinite(parsed) ||
      parsed < 0 ||
      (whole && !Number.isInteger(parsed))
    ) {
      throw new SandboxInputError(`--${name} must be a ${whole ? 'whole ' : ''}number, not "${value}".`);
    }
    return parsed;
  };
  const port = number('port', flags.port, true) ?? 4010;
  if (port > 65_535) throw new SandboxInputError('--port must be at most 65535.');
  const timeScale = number('time-scale', flags['time-scale'], false) ?? 1;
  if (timeScale === 0) throw new SandboxInputError('--time-scale must be greater than 0.');
  const given = {
    host: flags.host,
    account: flags.account,
    hosts: flags['accept-host'],
    lists: flags.lists?.flatMap(parseLists),
    processingMs: number('processing-ms', flags['processing-ms'], false),
    subscriberLimit: number('subscriber-limit', flags['subscriber-limit'], true),
    retryAfterSeconds: number('retry-after', flags['retry-after'], true),
    quotas: flags['no-quotas'] === true ? false : undefined,
    answers: flags.documented === true ? ('documented' as const) : undefined,
    keepBodies: flags['keep-bodies'],
  };
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const tokens = flags.token ?? [randomBytes(16).toString('hex')];
  return { options: { ...present, port, timeScale, tokens }, json: flags.json === true };
}

function readFlags(args: string[]) {
  try {
    return parseArgs({
      args,
      strict: true,
      allowPositionals: false,
      options: {
        port: { type: 'string' },
        host: { type: 'string' },
        token: { type: 'string', multiple: true },
        lists: { type: 'string', multiple: true },
        account: { type: 'string' },
        'accept-host': { type: 'string', multiple: true },
        'time-scale': { type: 'string' },
        'processing-ms': { type: 'string' },
        'subscriber-limit': { type: 'string' },
        'retry-after': { type: 'string' },
        'no-quotas': { type: 'boolean' },
        documented: { type: 'boolean' },
        'keep-bodies': { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error: unknown) {
    const message = error instanceof Error ? error.message : String(error);
    throw new SandboxInputError(`${message} (--help lists the flags)`);
  }
}

/** `1:Newsletter,2:Offers` */
function parseLists(value: string): { id: number; name: string }[] {
  return value.split(',').map((entry) => {
    const [, id, rest = ''] = /^\s*([1-9]\d*)\s*:(.*)$/s.exec(entry) ?? [];
    const name = rest.trim();
    if (id === undefined || name === '') {
      throw new SandboxInputError(`--lists wants ID:NAME, as in 1:Newsletter; "${entry}" is not that.`);
    }
    return { id: Number(id), name };
  });
}
