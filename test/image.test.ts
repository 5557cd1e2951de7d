import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { DockerfileParser, type Copy } from 'dockerfile-ast';
import ts from 'typescript';
import { parse } from 'yaml';
import { freePort } from '../scripts/databases/free-port.js';
import { readConfig } from '../src/config.js';
import { settingsFor } from './helpers/databases.js';
import { sourceFiles } from './helpers/source-files.js';
import { temporaryFolder } from './helpers/sluice.js';

/*
 * There is no Docker here: what the image would be is put together from what `npm ci` and `npm run build` have brought,
 * and its own commands are run in it.
 */

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}
interface Lock {
  readonly packages: Readonly<
    Record<
      string,
      { readonly dev?: boolean; readonly devOptional?: boolean; readonly engines?: { node?: string } }
    >
  >;
}

const read = (path: string) => readFileSync(path, 'utf8');
const manifest = JSON.parse(read('package.json')) as Manifest;
const lock = JSON.parse(read('package-lock.json')) as Lock;

interface Stage {
  readonly image: string;
  readonly name: string | null;
  readonly copies: readonly {
    readonly from: string | null;
    readonly sources: string[];
    readonly target: string;
  }[];
  readonly lines: readonly string[];
}

const dockerfile = DockerfileParser.parse(read('Dockerfile'));
const stages: Stage[] = dockerfile.getFROMs().map((from, index, all) => {
  const start = from.getRange().start.line;
  const end = all[index + 1]?.getRange().start.line ?? Infinity;
  const instructions = dockerfile.getInstructions().filter((instruction) => {
    const { line } = instruction.getRange().start;
    return line >= start && line < end;
  });
  return {
    image: from.getImage() ?? '',
    name: from.getBuildStage(),
    copies: instructions
      .filter((instruction) => instruction.getInstruction() === 'COPY')
      .map((instruction) => {
        const paths = instruction.getArguments().map((argument) => argument.getValue());
        const flag = (instruction as Copy).getFromFlag();
        return { from: flag?.getValue() ?? null, sources: paths.slice(0, -1), target: paths.at(-1) ?? '' };
      }),
    lines: instructions.map(
      (instruction) => `${instruction.getInstruction()} ${instruction.getArgumentsContent()}`,
    ),
  };
});
const last = stages.at(-1);

/** The words of a command that is written as JSON. */
const command = (keyword: 'CMD' | 'HEALTHCHECK'): string[] => {
  const line = last?.lines.find((each) => each.startsWith(keyword)) ?? '';
  return JSON.parse(line.slice(line.indexOf('['))) as string[];
};

describe('the Dockerfile', () => {
  it('copies what is there, and what the context has not left out', () => {
    const context = read('.dockerignore').split('\n');
    const fromContext = stages.flatMap(({ copies }) => copies.filter(({ from }) => from === null));
    expect(fromContext.length).toBeGreaterThan(4);
    for (const { sources } of fromContext) {
      expect(sources.filter((source) => !existsSync(source))).toEqual([]);
      expect(sources.filter((source) => !context.includes(`!${source}`))).toEqual([]);
    }
    expect(context.find((line) => line !== '' && !line.startsWith('#'))).toBe('*');
  });

  it('copies out of stages that come before', () => {
    const known: (string | null)[] = [];
    for (const { name, copies } of stages) {
      for (const { from } of copies) if (from !== null) expect(known).toContain(from);
      known.push(name);
    }
  });

  it('gives the compiler everything that it compiles but the tests', () => {
    const { include } = ts.parseConfigFileTextToJson('tsconfig.json', read('tsconfig.json')).config as {
      include: string[];
    };
    const given = stages[0]?.copies.flatMap(({ sources }) => sources) ?? [];
    expect(include.filter((path) => !given.includes(path))).toEqual(['test']);
  });

  it('installs for production in the image, on a Node that every package of it can use', () => {
    const dependencies = stages.find(({ name }) => name === 'dependencies');
    expect(dependencies?.lines).toContain('RUN npm ci --omit=dev');
    expect(last?.copies).toContainEqual({
      from: 'dependencies',
      sources: ['/sluice/node_modules'],
      target: 'node_modules',
    });
    const versions = stages.map(({ image }) => /^node:(\d+)-bookworm(-slim)?$/.exec(image)?.[1]);
    expect(new Set(versions).size).toBe(1);
    const major = Number(versions[0]);
    const tooNew = Object.entries(lock.packages).filter(([path, { dev, engines }]) => {
      const least = /^>= ?(\d+)/.exec(engines?.node ?? '')?.[1];
      return path !== '' && dev !== true && least !== undefined && Number(least) > major;
    });
    expect(tooNew).toEqual([]);
  });

  it('runs as a user who may do little, with the flags of npm start', () => {
    expect(last?.lines).toContain('USER node');
    expect(last?.lines.findIndex((line) => line === 'USER node')).toBeGreaterThan(
      last?.lines.findLastIndex((line) => line.startsWith('RUN') || line.startsWith('COPY')) ?? Infinity,
    );
    expect(last?.lines.join('\n')).toContain('NODE_ENV=production');
    const start = manifest.scripts.start?.split(' exec ')[1];
    expect(command('CMD').join(' ')).toBe(start);
  });
});

/** What the last stage would hold: the compiled program, and the packages that are not for development. */
function putImageTogether(folder: string): void {
  const put = (from: string, to: string) => {
    mkdirSync(dirname(to), { recursive: true });
    try {
      linkSync(from, to);
    } catch {
      // Another disk.
      copyFileSync(from, to);
    }
  };
  const putFolder = (path: string, leaveOut: readonly string[]) => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const inside = join(path, entry.name);
      if (leaveOut.includes(entry.name)) continue;
      if (entry.isDirectory()) putFolder(inside, leaveOut);
      else if (entry.isFile()) put(inside, join(folder, inside));
    }
  };
  for (const [path, { dev }] of Object.entries(lock.packages)) {
    // What lies in a package's own node_modules is in the list by itself.
    if (path !== '' && dev !== true && existsSync(path)) putFolder(path, ['node_modules']);
  }
  putFolder('dist', ['test']);
  put('package.json', join(folder, 'package.json'));
}

/** One that is left when the types are gone. */
function isRuntimeImport(
  statement: ts.Statement,
): statement is ts.ImportDeclaration & { moduleSpecifier: ts.StringLiteral } {
  return (
    ts.isImportDeclaration(statement) &&
    ts.isStringLiteral(statement.moduleSpecifier) &&
    statement.importClause?.phaseModifier !== ts.SyntaxKind.TypeKeyword
  );
}

/** Copying thousands of files takes its time on a busy machine. */
const TIMEOUT_MS = 120_000;

describe('the image', () => {
  it('imports at run time only what is installed for production', () => {
    const allowed = [...Object.keys(manifest.dependencies), ...builtinModules];
    // What is in the image besides (the demo, benches) is for development.
    const forImage = sourceFiles('scripts').filter(({ path }) =>
      /^scripts\/(import\.ts|client\/)/.test(path),
    );
    expect(forImage.length).toBeGreaterThan(1);
    const foreign = [...sourceFiles('src'), ...forImage].flatMap(({ path, tree }) =>
      tree.statements
        .flatMap((statement) => (isRuntimeImport(statement) ? statement.moduleSpecifier.text : []))
        .filter((name) => !name.startsWith('.') && !name.startsWith('node:'))
        .filter((name) => !allowed.includes(/^(@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? ''))
        .map((name) => `${path} imports ${name}`),
    );
    expect(foreign).toEqual([]);
  });

  it(
    'starts with its own command and nothing else installed, is healthy, and ends by SIGTERM',
    async () => {
      await using folder = await temporaryFolder();
      putImageTogether(folder.path);
      expect(existsSync(join(folder.path, 'node_modules/typescript'))).toBe(false);
      const port = await freePort();
      const env = {
        ...(await settingsFor(folder.path)),
        NODE_ENV: 'production',
        PORT: String(port),
        SLUICE_SECRET_KEY: Buffer.alloc(32, 1).toString('base64'),
      };
      const healthy = () =>
        spawnSync(process.execPath, command('HEALTHCHECK').slice(1), { env, cwd: folder.path }).status;
      expect(healthy()).toBe(1);
      const [program, ...flags] = command('CMD');
      expect(program).toBe('node');
      const server = spawn(process.execPath, flags, {
        env,
        cwd: folder.path,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      try {
        const ended = once(server, 'exit');
        const lines = createInterface(server.stdout);
        await new Promise<void>((resolve, reject) => {
          lines.on('line', (line) => {
            if ((JSON.parse(line) as { msg: string }).msg === 'listening') resolve();
          });
          ended.then(() => reject(new Error('It ended before it listened.')), reject);
        });
        expect(healthy()).toBe(0);
        server.kill('SIGTERM');
        expect(await ended).toEqual([0, null]);
        expect(healthy()).toBe(1);
      } finally {
        server.kill('SIGKILL');
      }
    },
    TIMEOUT_MS,
  );
});

interface Service {
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly deploy?: { readonly replicas: number };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly ports?: readonly string[];
}
interface Compose {
  readonly services: Readonly<Record<'postgres' | 'sluice', Service>>;
  readonly volumes: Readonly<Record<string, null>>;
}

describe('the compose file', () => {
  const { services, volumes } = parse(read('compose.yaml')) as Compose;
  const variables = [...read('compose.yaml').matchAll(/\$\{(\w+)(:[?-][^}]*)?\}/g)].map(
    ([, name = '', rule = '']) => ({ name, isRequired: rule.startsWith(':?') }),
  );
  const example = new Map(
    read('.env.example')
      .split('\n')
      .filter((line) => /^\w+=/.test(line))
      .map((line) => [line.split('=')[0] ?? '', line.slice(line.indexOf('=') + 1)]),
  );

  it('has Postgres, which keeps its data and is waited for, and two replicas on this machine alone', () => {
    const { postgres, sluice } = services;
    expect(postgres.image).toBe('postgres:18');
    expect(postgres.healthcheck?.test).toContain('pg_isready');
    const [volume] = postgres.volumes?.[0]?.split(':') ?? [];
    expect(Object.keys(volumes)).toContain(volume);
    expect(sluice.deploy?.replicas).toBe(2);
    expect(sluice.depends_on?.postgres?.condition).toBe('service_healthy');
    const [, from, to] = /^127\.0\.0\.1:(\d+)-(\d+):4000$/.exec(sluice.ports?.[0] ?? '') ?? [];
    expect(Number(to) - Number(from) + 1).toBe(2);
  });

  it('starts with no secret that was not given, and has none of its own', () => {
    const secrets = ['POSTGRES_PASSWORD', 'SLUICE_SECRET_KEY', 'SLUICE_ADMIN_TOKEN'];
    const required = new Set(variables.filter(({ isRequired }) => isRequired).map(({ name }) => name));
    expect([...required].sort()).toEqual([...secrets].sort());
    for (const secret of [...secrets, 'SLUICE_METRICS_TOKEN']) expect(example.get(secret)).toBe('');
  });

  it('asks for what the example of settings lists, and gives the server settings that it knows', () => {
    expect(new Set(variables.map(({ name }) => name))).toEqual(new Set(example.keys()));
    const settings = Object.keys(services.sluice.environment);
    const config = read('src/config.ts');
    expect(settings.filter((setting) => !config.includes(`env.${setting}`))).toEqual([]);
    const given: Record<string, string> = {
      POSTGRES_PASSWORD: 'password',
      SLUICE_SECRET_KEY: Buffer.alloc(32, 1).toString('base64'),
      SLUICE_ADMIN_TOKEN: 'x'.repeat(48),
    };
    const env = Object.fromEntries(
      Object.entries(services.sluice.environment).map(([setting, value]) => [
        setting,
        value.replace(
          /\$\{(\w+)(?::[?-]([^}]*))?\}/g,
          (_all, name: string, rest: string) => given[name] ?? rest,
        ),
      ]),
    );
    expect(env.DATABASE_URL).toBe('postgres://sluice:password@postgres:5432/sluice');
    const { database, metricsToken } = readConfig({ ...env, NODE_ENV: 'production' });
    expect(database.kind).toBe('postgres');
    expect(metricsToken).toBeUndefined();
  });
});
