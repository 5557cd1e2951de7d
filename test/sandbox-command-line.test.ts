import { parseCommandLine } from '../sandbox/command-line.js';
import { startSandbox } from '../sandbox/sandbox.js';

/** What startSandbox would be given for this command line. */
function options(...args: string[]) {
  const command = parseCommandLine(args);
  if (command === 'help') throw new Error('Help was printed.');
  return command.options;
}

describe('npm run sandbox', () => {
  it('takes port, keys, lists and the scale of time', () => {
    const args = [
      '--port',
      '0',
      '--token',
      'A',
      '--token',
      'B',
      '--lists',
      '1:Newsletter, 2:Black Friday: 2026',
    ];
    expect(options(...args, '--time-scale', '60')).toEqual({
      port: 0,
      tokens: ['A', 'B'],
      lists: [
        { id: 1, name: 'Newsletter' },
        { id: 2, name: 'Black Friday: 2026' },
      ],
      timeScale: 60,
    });
  });

  it('listens at 4010 in real time with a key of its own making unless told otherwise', () => {
    const first = options();
    expect(first).toMatchObject({ port: 4010, timeScale: 1 });
    expect(first.tokens?.[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(options().tokens).not.toEqual(first.tokens);
  });

  it('hands every other flag on', () => {
    const args = ['--host', '::1', '--account', 'acme', '--accept-host', 'acme.api-us1.com', '--no-quotas'];
    const more = ['--processing-ms', '50', '--subscriber-limit', '9', '--retry-after', '30', '--documented'];
    expect(options(...args, ...more, '--keep-bodies')).toMatchObject({
      host: '::1',
      account: 'acme',
      hosts: ['acme.api-us1.com'],
      quotas: false,
      processingMs: 50,
      subscriberLimit: 9,
      retryAfterSeconds: 30,
      answers: 'documented',
      keepBodies: true,
    });
    expect(parseCommandLine(['--json'])).toMatchObject({ json: true });
  });

  it('prints help before anything else', () => {
    expect(parseCommandLine(['--help', '--port', 'x'])).toBe('help');
  });

  it.each([
    [['--prot', '1'], '--prot'],
    [['--port', 'abc'], '--port must be a whole number, not "abc"'],
    [['--port', '70000'], '--port must be at most 65535'],
    [['--port', ''], '--port must be a whole number'],
    [['--time-scale', '0'], '--time-scale must be greater than 0'],
    [['--time-scale=-1'], '--time-scale must be a number'],
    [['--lists', 'Newsletter'], '--lists wants ID:NAME'],
    [['--lists', '0:None'], '--lists wants ID:NAME'],
    [['--subscriber-limit', '1.5'], '--subscriber-limit must be a whole number'],
    [['stray'], 'stray'],
  ])('says what is wrong with %j', (args, message) => {
    expect(() => parseCommandLine(args)).toThrow(message);
  });
});

describe('startSandbox', () => {
  it.each<[object, string]>([
    [{ tokens: [] }, 'At least one token'],
    [{ timeScale: 0 }, 'timeScale must be'],
    [{ processingMs: -1 }, 'processingMs must be'],
    [{ token: 'K' }, 'There is no setting "token"'],
    [{ lists: [{ id: 1.5, name: 'x' }] }, 'A list id must be'],
  ])('refuses %j', async (wrong, message) => {
    await expect(startSandbox(wrong)).rejects.toThrow(message);
  });

  it('says so when the port is taken, and gives it back when it is closed', async () => {
    const first = await startSandbox();
    const port = Number(first.host.split(':')[1]);
    await expect(startSandbox({ port })).rejects.toThrow('EADDRINUSE');
    await first.close();
    const second = await startSandbox({ port });
    expect(second.url).toBe(`http://127.0.0.1:${port}`);
    await second.close();
    await second.close();
  });
});
