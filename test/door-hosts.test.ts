import { connectionCalls, refusalOf } from './helpers/connection-calls.js';
import { connectedConnection } from './helpers/flows.js';
import { EVIL_HOSTS } from './helpers/evil-hosts.js';
import { createPatience } from './helpers/patience.js';
import { startProgram } from './helpers/program.js';
import { startTestSandbox } from './helpers/sandbox.js';
import { startSluice, temporaryFolder } from './helpers/sluice.js';
import { startStub } from './helpers/stub-destination.js';

/** Nobody listens there, and nobody is given that port. */
const NOWHERE = '127.0.0.1:1';
const SECRET_KEY = Buffer.alloc(32, 7).toString('base64');

describe('the host of a connection', () => {
  it('is no evil one, neither from the first nor changed to it', async () => {
    await using sluice = await startSluice({ env: { SLUICE_SANDBOX_HOSTS: '127.0.0.1:4010' } });
    const calls = connectionCalls(sluice);
    const { id } = await calls.create({ host: 'acme.api-us1.com', apiKey: 'key' });
    const accepted: string[] = [];
    for (const [what, host] of EVIL_HOSTS) {
      for (const attempt of [() => calls.create({ host, apiKey: 'key' }), () => calls.update(id, { host })]) {
        const refusal = await refusalOf(attempt()).catch(() => undefined);
        if (refusal?.code !== 'BAD_USER_INPUT' || refusal.field !== 'host') accepted.push(what);
      }
    }
    expect(accepted).toEqual([]);
    expect(await sluice.query('{ connections { nodes { id host } } }')).toEqual({
      connections: { nodes: [{ id, host: 'acme.api-us1.com' }] },
    });
  });

  it('is no sandbox any more once the settings do not name it', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const first = await startSluice({ sandbox, folder: folder.path });
    const id = await connectedConnection(first, sandbox);
    await first.stop();
    const calledBefore = sandbox.log.length;

    await using second = await startSluice({ folder: folder.path });
    const refusal = await refusalOf(connectionCalls(second).connect(id));
    expect(refusal.code).toBe('CONNECTION_FAILED');
    expect(sandbox.log).toHaveLength(calledBefore);
  });

  it('is no sandbox in production, however it is named', async () => {
    const production = { NODE_ENV: 'production', SLUICE_SECRET_KEY: SECRET_KEY };
    for (const setting of ['SLUICE_SANDBOX_HOSTS', 'SLUICE_SANDBOX_TIME_SCALE']) {
      const env = { ...production, [setting]: setting.endsWith('HOSTS') ? '127.0.0.1:4010' : '60' };
      await expect(startSluice({ env })).rejects.toThrow(`The setting ${setting} cannot be used`);
    }
  });

  it('is called directly, whatever proxies the environment names', async () => {
    await using folder = await temporaryFolder();
    await using sandbox = await startTestSandbox();
    const proxy = await startStub(() => ({ body: 'from the proxy' }));
    const url = `http://${proxy.host}`;
    const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'];
    const env = { ...Object.fromEntries(names.map((name) => [name, url])), NODE_USE_ENV_PROXY: '1' };
    await using program = await startProgram(folder.path, sandbox, { env });
    await connectedConnection(program.sluice, sandbox);
    expect(sandbox.log.length).toBeGreaterThan(0);
    expect(proxy.calls).toEqual([]);
    await proxy.close();
  });

  it('at which nobody listens is told in the very words of one that does not answer', async () => {
    const patience = createPatience();
    const mute = await startStub(() => patience.leaveUnanswered);
    const breaking = await startStub(() => (request) => request.socket.destroy());
    const hosts = [NOWHERE, mute.host, breaking.host];
    await using sluice = await startSluice({
      env: { SLUICE_SANDBOX_HOSTS: hosts.join(',') },
      startDeadline: patience.startDeadline,
    });
    const calls = connectionCalls(sluice);
    const told = new Set<string>();
    for (const host of hosts) {
      const { id } = await calls.create({ host, apiKey: 'key' });
      await calls.giveConsent(id);
      const refusal = await refusalOf(calls.connect(id));
      const { problem } = await calls.get(id);
      told.add(JSON.stringify([{ ...refusal, requestId: 'of this request' }, problem]));
    }
    expect([...told]).toHaveLength(1);
    expect([...told][0]).toContain('UNREACHABLE');
    await mute.close();
    await breaking.close();
  });
});
