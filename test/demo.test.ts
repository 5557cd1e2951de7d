import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { UsageError } from '../scripts/client/failure.js';
import { readOptions } from '../scripts/demo/options.js';
import { lineOf, runScript, startScript } from './helpers/script.js';
import { bearer, temporaryFolder } from './helpers/sluice.js';

/** The destination's time passes so fast that a run takes a moment. */
const FAST = ['--time-scale', '5000'];
const SANDBOX_URL = /sandbox of ActiveCampaign at (http:\S+),/;

interface JsonResult {
  readonly equal: boolean;
  readonly differences: string[];
  readonly rows: Record<string, number>;
  readonly run: Record<string, unknown>;
}

async function demoOf(name: string, content: string | Buffer, ...args: string[]) {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/${name}`;
  await writeFile(path, content);
  const { code, output } = await runScript('demo', ['--profiles', path, '--json', ...FAST, ...args]);
  return { code, result: JSON.parse(output) as JsonResult };
}

function post(url: string, body: object): Promise<Response> {
  return fetch(url, { method: 'POST', body: JSON.stringify(body) });
}

describe('npm run demo', () => {
  it('delivers people that it makes up, with all kinds of dirt, and finds nothing different', async () => {
    const { code, output } = await runScript('demo', ['--count', '700', '--json', ...FAST]);
    const { equal, differences, rows, run } = JSON.parse(output) as JsonResult;
    expect({ code, equal, differences }).toEqual({ code: 0, equal: true, differences: [] });
    expect(rows).toMatchObject({ inTheFile: 700, profiles: 700 });
    for (const dirt of ['missingEmail', 'invalidEmail', 'duplicateEmail']) {
      expect(rows[dirt]).toBeGreaterThan(0);
    }
    // Addresses with an apostrophe, which are refused after they were accepted.
    expect(run.rejected).toBeGreaterThan(0);
    expect(run).toMatchObject({ state: 'SUCCEEDED_WITH_WARNINGS', toSend: rows.meantToBeSent });
  });

  it('says what became of every row of a dirty CSV', async () => {
    const lines = [
      '\ufeffKey,E-Mail,Vorname,last_name,Phone',
      '9,ann@example.com,Nine,,',
      '10,Ann@Example.com,Ten,"Smith, Jr.",+1 202 555 0100',
      '11,,Nobody,,',
      '12,no-at.example.com,,,',
      '13,zoë@example.com,Zoë,"two\nlines",',
      "14,o'hara@example.com,Sinéad,,",
      '15,one,value,too,many,x',
      '16,quote"inside@example.com,,,',
      ',no-id@example.com,,,',
      '',
      '17,old@example.com,Old,,',
      '17, new@example.com ,New,,',
      '18,latin\xe9@example.com,,,',
    ];
    const content = Buffer.concat([
      Buffer.from(lines.slice(0, -1).join('\r\n') + '\r\n'),
      Buffer.from(lines.at(-1) ?? '', 'latin1'),
    ]);
    const { code, result } = await demoOf('people.csv', content, '--id', 'Key', '--first-name', 'Vorname');
    expect(result).toMatchObject({
      equal: true,
      differences: [],
      rows: {
        inTheFile: 12,
        rejectedByTheImport: 4,
        repeatedIds: 1,
        profiles: 7,
        missingEmail: 1,
        invalidEmail: 1,
        duplicateEmail: 1,
        meantToBeSent: 4,
      },
      run: { members: 7, skipped: 3, toSend: 4, confirmed: 3, rejected: 1, unconfirmed: 0, notSent: 0 },
    });
    expect(code).toBe(0);
  });

  it('takes packed NDJSON, whose lines may name different things', async () => {
    const lines = [
      '{"id":1,"email":"ann@example.com","first_name":"Ann"}',
      '{"id":1,"last_name":"Lee"}',
      '{"id":"2","email":null,"phone":5550100}',
      '{"id":3,"email":{"work":"x@example.com"}}',
      'no json',
    ];
    const { code, result } = await demoOf('people.jsonl.gz', gzipSync(lines.join('\n')), '--id', 'id');
    expect(result).toMatchObject({
      equal: true,
      rows: {
        inTheFile: 5,
        rejectedByTheImport: 2,
        repeatedIds: 1,
        profiles: 2,
        missingEmail: 1,
        meantToBeSent: 1,
      },
    });
    expect(code).toBe(0);
  });

  it('names whom nobody meant and whose values differ, and ends with 1', async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/people.csv`;
    await writeFile(path, 'id,email,first_name\n1,ann@example.com,Ann\n2,bob@example.com,\n');
    const demo = startScript('demo', ['--profiles', path, '--id', 'id', ...FAST]);
    const url = await lineOf(demo, SANDBOX_URL);
    // The first delivery leaves empty values out, so that this name stays.
    const contacts = [{ email: 'bob@example.com', firstName: 'Robert' }, { email: 'stranger@example.com' }];
    await post(`${url}/sandbox/contacts`, { contacts });
    const { code, output } = await demo.finished;
    expect(output).toContain('✘ 2 differences');
    expect(output).toContain('stranger@example.com is at the sandbox, but nobody meant that.');
    expect(output).toContain('bob@example.com: firstName is "Robert" at the sandbox, but "" was meant.');
    expect(code).toBe(1);
  });

  it('counts as refused whom the sandbox has on record as failed', async () => {
    const demo = startScript('demo', ['--count', '30', ...FAST]);
    const url = await lineOf(demo, SANDBOX_URL);
    await post(`${url}/sandbox/exclude`, { matchPhrase: '@example.com', matchType: 'end' });
    const { code, output } = await demo.finished;
    expect(output).toMatch(/refused by it +[1-9].*@example\.com"/);
    expect(output).toContain('Sandbox holds exactly what was meant ✔');
    expect(code).toBe(0);
  });

  it('counts as refused whom the sandbox never let in, named or not', async () => {
    const demo = startScript('demo', ['--count', '300', ...FAST]);
    const url = await lineOf(demo, SANDBOX_URL);
    await post(`${url}/sandbox/refuse`, { matching: 'lopez', how: 'named' });
    await post(`${url}/sandbox/refuse`, { matching: 'rossi', how: 'unnamed' });
    const { code, output } = await demo.finished;
    expect(output).toMatch(/refused by it +[1-9]\d/);
    expect(output).toContain('Sandbox holds exactly what was meant ✔');
    expect(code).toBe(0);
  });

  it('leaves all running with --keep, tells how to go on, and is gone without a trace after Ctrl-C', async () => {
    const demo = startScript('demo', ['--count', '20', '--keep', ...FAST]);
    const [sluice, token, sandbox, log] = await Promise.all([
      lineOf(demo, /^ +Sluice +(http\S+)/),
      lineOf(demo, /^ +token +(\S+)/),
      lineOf(demo, SANDBOX_URL),
      lineOf(demo, /^ +log +(\S+)/),
    ]);
    const answer = await fetch(sluice, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer(token) },
      body: '{"query":"{ profileCount }"}',
    });
    expect(await answer.json()).toEqual({ data: { profileCount: 20 } });
    expect(existsSync(log)).toBe(true);
    demo.process.kill('SIGINT');
    expect(await demo.finished).toMatchObject({ code: 0 });
    expect(existsSync(log)).toBe(false);
    await expect(fetch(sluice)).rejects.toThrow();
    await expect(fetch(sandbox)).rejects.toThrow();
  });

  it('takes everything with it also when npm gets a SIGTERM, which its shell does not pass on', async () => {
    const args = ['run', '--silent', 'demo', '--', '--count', '20', '--keep', ...FAST];
    const npm = spawn('npm', args, {
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let output = '';
    npm.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('/sandbox/state\n')) npm.kill('SIGTERM');
    });
    // All who could write to it have ended, not npm alone.
    await once(npm.stdout, 'close');
    await expect(fetch(SANDBOX_URL.exec(output)?.[1] ?? '')).rejects.toThrow();
    expect(existsSync(/^ +log +(\S+)/m.exec(output)?.[1] ?? '.')).toBe(false);
  }, 120_000);

  it('stops in the middle at Ctrl-C, and takes everything with it', async () => {
    const demo = startScript('demo', ['--count', '3000', '--time-scale', '10']);
    const sandbox = await lineOf(demo, SANDBOX_URL);
    await lineOf(demo, /of [\d,]+ confirmed/);
    demo.process.kill('SIGINT');
    const { code, errors } = await demo.finished;
    expect({ code, errors }).toEqual({ code: 130, errors: '\nStopped; nothing is left behind.\n' });
    await expect(fetch(sandbox)).rejects.toThrow();
  });

  it("says what went wrong in the middle, what to do, and how the server's log ends", async () => {
    const demo = startScript('demo', ['--count', '20', ...FAST]);
    await post(`${await lineOf(demo, SANDBOX_URL)}/sandbox/revoke-key`, {});
    const { code, errors } = await demo.finished;
    expect(errors).toMatch(/^\n✘ [^\n]+ does not accept the API key\.\nCopy the key again/);
    expect(errors).toMatch(/The server's log ends with:\n.*"msg":"listening"/s);
    expect(code).toBe(1);
  });

  it('says what is wrong with a file, and what to do', async () => {
    await using folder = await temporaryFolder();
    const path = `${folder.path}/people.csv`;
    await writeFile(path, 'id,mail\n1,ann@example.com\n');
    const wrong = await runScript('demo', ['--profiles', path, '--id', 'id']);
    expect(wrong.errors).toMatch(/^\n✘ No column .* "id", "mail".*\nName it with --email COLUMN/);
    const other = await runScript('demo', ['--profiles', path, '--id', 'key', '--email', 'mail']);
    expect(other.errors).toContain('The file has no column "key"; its columns are "id", "mail".');
    await writeFile(path, '');
    const empty = await runScript('demo', ['--profiles', path, '--id', 'id']);
    expect(empty.errors).toBe('\n✘ The file has no columns that could be read.\nIs it the right file?\n');
    expect([wrong.code, other.code, empty.code]).toEqual([1, 1, 1]);
  });

  it.each([
    [['--cuont', '5'], '--cuont'],
    [['people.csv'], '--profiles FILE'],
    [['--profiles', 'people.csv'], '--profiles needs --id COLUMN'],
    [['--profiles', 'people.xlsx', '--id', 'id'], 'expected .csv'],
    [['--profiles', 'people.csv', '--id', 'id', '--count', '5'], '--count'],
    [['--count', '0'], '--count wants a whole number from 1 to 1,000,000, not "0"'],
    [['--time-scale', 'fast'], '--time-scale wants a number'],
    [['--email', 'mail'], '--profiles FILE'],
  ])('refuses %j', (args, message) => {
    expect(() => readOptions(args)).toThrow(UsageError);
    expect(() => readOptions(args)).toThrow(message);
  });

  it('ends with 2 when the command line is wrong', async () => {
    const { code, output, errors } = await runScript('demo', ['--cuont', '5']);
    expect(errors).toMatch(/^demo: [^\n]+ \(--help tells what there is\)\n$/);
    expect({ code, output }).toEqual({ code: 2, output: '' });
  });

  it('explains itself', async () => {
    const { code, output } = await runScript('demo', ['--help']);
    expect(output).toContain('--profiles FILE');
    expect(code).toBe(0);
  });
});
