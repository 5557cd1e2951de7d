import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { bearer, temporaryFolder } from './helpers/sluice.js';
import { parseCommand, parseCurl, Placeholders, readSteps, type Step } from './helpers/tutorial.js';

/*
 * The tutorial of the README is run as it is printed, by a reader with a folder of their own. Three things differ, so
 * that tests can run side by side: the ports are free ones, programs are not built again, and a script that is to be
 * saved in the project's folder runs from there without being saved.
 */

const SANDBOX = '127.0.0.1:4010';
const SLUICE = '127.0.0.1:4000';

class TutorialReader implements AsyncDisposable {
  readonly #placeholders = new Placeholders();
  readonly #running: ChildProcessWithoutNullStreams[] = [];
  #document: string | undefined;
  #answer: unknown;
  answersCompared = 0;

  constructor(private readonly folder: string) {}

  async take(step: Step, next: Step | undefined): Promise<void> {
    const filled = this.#placeholders.fill(step.text);
    switch (`${step.language} ${step.label}`) {
      case 'sh ':
        return this.#run(filled);
      case 'csv people.csv':
        return writeFile(join(this.folder, step.label), `${step.text}\n`);
      case 'graphql ':
        this.#document = filled;
        if (next?.label !== 'variables') this.#answer = await this.#ask(filled, {});
        return;
      case 'json variables':
        this.#answer = await this.#ask(this.#document ?? '', JSON.parse(filled));
        return;
      case 'js watch.mjs':
        this.#answer = await this.#runScript(filled);
        return;
      case 'json answer':
        this.#compare(JSON.parse(step.text));
        return;
      case 'text answer':
        // How many events come in between depends on the machine; the last one always comes.
        this.#compare(step.text.split('\n').at(-1));
        return;
      default:
        throw new Error(`The tutorial's test does not know blocks of ${step.language} ${step.label}.`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running) {
      child.kill();
      if (child.exitCode === null) await once(child, 'exit');
    }
  }

  #compare(printed: unknown): void {
    expect(this.#answer).toEqual(this.#placeholders.expected(printed, this.#answer));
    this.answersCompared += 1;
  }

  async #run(command: string): Promise<void> {
    const { env, words } = parseCommand(command);
    if (words[0] === 'curl') this.#answer = await this.#curl(words);
    else if (words.slice(0, 3).join(' ') === 'npm run sandbox') await this.#startSandbox(words.slice(4));
    else if (words.join(' ') === 'npm start') await this.#startSluice(env);
    else if (words.slice(0, 4).join(' ') === 'npm run --silent import') {
      const env = { SLUICE_URL: this.#placeholders.fill(`http://${SLUICE}`) };
      this.#answer = JSON.parse(await outputOf(this.#start('import', words.slice(5), env)));
    } else throw new Error(`The tutorial's test does not know the command ${command}.`);
  }

  async #startSandbox(flags: readonly string[]): Promise<void> {
    const anyPort = flags.map((flag) => (flag === '4010' ? '0' : flag));
    const sandbox = this.#start('sandbox', anyPort, {});
    const address = await firstMatch(sandbox, /http:\/\/(127\.0\.0\.1:\d+)/);
    this.#placeholders.set(SANDBOX, address);
  }

  async #startSluice(env: Record<string, string>): Promise<void> {
    const sluice = this.#start('start', [], { ...env, PORT: '0' });
    const told = firstMatch(sluice, /(slu_\S+)/, 'stderr');
    this.#placeholders.set(SLUICE, await firstMatch(sluice, /"url":"http:\/\/([^"]+)","msg":"listening"/));
    this.#placeholders.set('TOKEN', await told);
  }

  /** Starts what the npm script starts, in the reader's folder. */
  #start(
    script: string,
    flags: readonly string[],
    env: Record<string, string>,
  ): ChildProcessWithoutNullStreams {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      scripts: Record<string, string>;
    };
    const [, ofNode = '', program = ''] =
      /^npm run --silent build && (?:exec )?node ((?:--\S+ )*)(\S+)$/.exec(scripts[script] ?? '') ?? [];
    const forNode = ofNode.split(' ').filter((flag) => flag !== '');
    const child = spawn(process.execPath, [...forNode, resolve(program), ...flags], {
      cwd: this.folder,
      env,
    });
    this.#running.push(child);
    return child;
  }

  async #curl(words: readonly string[]): Promise<unknown> {
    const { url, method, headers, data, file } = parseCurl(words);
    const body = file === undefined ? data : await readFile(join(this.folder, file));
    const response = await fetch(url, { method, headers, body: body ?? null });
    return response.json();
  }

  async #ask(query: string, variables: unknown): Promise<unknown> {
    const response = await fetch(this.#placeholders.fill(`http://${SLUICE}/graphql`), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...bearer(this.#placeholders.fill('TOKEN')) },
      body: JSON.stringify({ query, variables }),
    });
    return response.json();
  }

  async #runScript(code: string): Promise<unknown> {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', code], { env: {} });
    this.#running.push(child);
    return (await outputOf(child)).trimEnd().split('\n').at(-1);
  }
}

/** All that a program prints; it has to end without a complaint. */
async function outputOf(child: ChildProcessWithoutNullStreams): Promise<string> {
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  expect(errors).toBe('');
  return output;
}

/** The first group of the first match in what a program prints. @throws if it ends without. */
async function firstMatch(
  child: ChildProcessWithoutNullStreams,
  pattern: RegExp,
  stream: 'stdout' | 'stderr' = 'stdout',
): Promise<string> {
  let printed = '';
  for await (const chunk of child[stream].iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    printed += chunk.toString();
    const found = pattern.exec(printed)?.[1];
    if (found !== undefined) {
      child[stream].resume();
      return found;
    }
  }
  throw new Error(`It ended without saying ${pattern.source}: ${printed}`);
}

describe('the tutorial of the README', () => {
  it('does what it prints, step by step', async () => {
    const steps = readSteps(readFileSync('README.md', 'utf8'), '## Tutorial');
    await using folder = await temporaryFolder();
    await using reader = new TutorialReader(folder.path);
    for (const [index, step] of steps.entries()) {
      try {
        await reader.take(step, steps[index + 1]);
      } catch (error: unknown) {
        throw new Error(`README.md, line ${step.line}: ${String(error)}`, { cause: error });
      }
    }
    // Were the blocks found no more, the test would prove nothing.
    expect(reader.answersCompared).toBeGreaterThanOrEqual(10);
    // Four programs are started one after the other, beside other tests.
  }, 60_000);
});
