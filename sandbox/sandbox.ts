import { once } from 'node:events';
import type { Server } from 'node:http';
import { Account } from './account.js';
import { createSandboxServer } from './http.js';
import { Bell, type Call, type SandboxEvents } from './journal.js';
import type { NewList } from './lists.js';
import { Operator } from './operator.js';
import { changeSettings, DEFAULT_SETTINGS, SandboxInputError, type Settings } from './settings.js';
import { Clock } from './time.js';

export interface SandboxOptions extends Partial<Settings> {
  /** 0 takes a free one. Default 0. */
  port?: number;
  /** The address to listen at. Default 127.0.0.1. */
  host?: string;
  /** The API keys that work. Default: one, `sandbox-key`. */
  tokens?: readonly string[];
  /** Default: one, number 1, named Newsletter. */
  lists?: readonly NewList[];
  /** The account's name, as in `NAME.api-us1.com`. Default `sandbox`. */
  account?: string;
  /** `Host` headers that are this account's; any other is redirected. Default: all are. */
  hosts?: readonly string[];
  /** How many times faster than the machine's clock sandbox time runs. Default 1. */
  timeScale?: number;
  /** A clock of the test's own, in ms. The sandbox then does what is due whenever it is asked something. */
  now?: () => number;
}

/** A running sandbox: an operator at the destination, where the account is to be reached, and its events. */
export class Sandbox extends Operator {
  constructor(
    makeAccount: () => Account,
    private readonly bell: Bell,
    /** The key to use; `revokeKey` and its like know all that were given. */
    readonly token: string,
  ) {
    super(makeAccount);
  }

  private server: Server | undefined;
  private address = '';

  /** `127.0.0.1:4010` */
  get host(): string {
    return this.address;
  }

  /** `http://127.0.0.1:4010`; the API is under `/api/3`. */
  get url(): string {
    return `http://${this.address}`;
  }

  /** @returns a function that stops listening */
  on<Name extends keyof SandboxEvents>(
    name: Name,
    listener: (event: SandboxEvents[Name]) => void,
  ): () => void {
    return this.bell.on(name, listener);
  }

  /** The next event of this name that fits. Waits for ever: give the test a deadline, not the event. */
  async next<Name extends keyof SandboxEvents>(
    name: Name,
    fits: (event: SandboxEvents[Name]) => boolean = () => true,
  ): Promise<SandboxEvents[Name]> {
    return new Promise((resolve) => {
      const stop = this.bell.on(name, (event) => {
        if (!fits(event)) return;
        stop();
        resolve(event);
      });
    });
  }

  /** The next call that is answered (or certainly never will be) and fits. */
  async nextCall(fits?: (call: Call) => boolean): Promise<Call> {
    return this.next('call', fits);
  }

  /** @throws Error if the port is taken */
  async listen(port: number, host: string): Promise<void> {
    this.server = createSandboxServer(this);
    this.server.listen(port, host);
    await once(this.server, 'listening');
    const bound = this.server.address();
    const actualPort = typeof bound === 'object' && bound !== null ? bound.port : port;
    this.address = `${host.includes(':') ? `[${host}]` : host}:${actualPort}`;
  }

  /** Breaks all connections and forgets what was still to happen. */
  async close(): Promise<void> {
    this.account.clock.stop();
    const { server } = this;
    if (server?.listening !== true) return;
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  }
}

/**
 * Starts an ActiveCampaign of one's own.
 *
 * @throws SandboxInputError if an option makes no sense, Error if the port is taken
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const {
    port = 0,
    host = '127.0.0.1',
    tokens = ['sandbox-key'],
    lists = [{ id: 1, name: 'Newsletter' }],
    account = 'sandbox',
    hosts,
    timeScale = 1,
    now,
    ...settings
  } = options;
  const [token] = tokens;
  if (token === undefined) throw new SandboxInputError('At least one token is needed.');
  if (!(timeScale > 0 && Number.isFinite(timeScale))) {
    throw new SandboxInputError('timeScale must be a number greater than 0.');
  }
  const clock = new Clock(timeScale, now);
  const bell = new Bell();
  const makeAccount = (): Account => {
    const own = { ...DEFAULT_SETTINGS };
    changeSettings(own, settings);
    return new Account(account, hosts, tokens, lists, own, clock, bell);
  };
  const sandbox = new Sandbox(makeAccount, bell, token);
  await sandbox.listen(port, host);
  return sandbox;
}
