import ts from 'typescript';
import { placesWhere, type SourceFile } from './source-files.js';

/**
 * Who may import whom. Each room may use itself, the rooms in its row, and nothing else.
 * kernel is the files directly in src/.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  kernel: [],
  'src/entities': ['kernel'],
  'src/migrations': [],
  'src/security': ['kernel', 'src/entities'],
  'src/audit': ['kernel', 'src/entities'],
  'src/profiles': ['kernel', 'src/entities', 'src/audit'],
  // The engine knows their contract; they know nothing of the engine, and no entity.
  'src/destinations': ['kernel', 'src/security'],
  'src/people': ['kernel', 'src/entities', 'src/security', 'src/audit'],
  'src/connections': ['kernel', 'src/entities', 'src/security', 'src/audit', 'src/destinations'],
  'src/exports': [
    'kernel',
    'src/entities',
    'src/audit',
    'src/security',
    'src/profiles',
    'src/destinations',
    'src/people',
    'src/connections',
  ],
  'src/jobs': ['kernel', 'src/entities', 'src/audit', 'src/profiles', 'src/exports'],
  'src/webhooks': ['kernel', 'src/entities', 'src/audit', 'src/security', 'src/exports'],
  'src/schema': [
    'kernel',
    'src/entities',
    'src/audit',
    'src/security',
    'src/profiles',
    'src/destinations',
    'src/people',
    'src/connections',
    'src/exports',
    'src/jobs',
    'src/webhooks',
  ],
  'src/resolvers': [
    'kernel',
    'src/entities',
    'src/audit',
    'src/profiles',
    'src/destinations',
    'src/people',
    'src/connections',
    'src/exports',
    'src/jobs',
    'src/webhooks',
    'src/schema',
  ],
  // From SQLite to Postgres. It is told which tables there are.
  'src/moving': ['kernel'],
  'src/server': [
    'kernel',
    'src/entities',
    'src/audit',
    'src/migrations',
    'src/security',
    'src/profiles',
    'src/destinations',
    'src/people',
    'src/connections',
    'src/exports',
    'src/jobs',
    'src/webhooks',
    'src/schema',
    'src/resolvers',
    'src/moving',
  ],
  // Starts the server, and is imported by nobody.
  'src/main.ts': ['kernel', 'src/server'],
  'src/rotate-keys.ts': ['kernel', 'src/server'],
  // Shows a terminal what scripts show it.
  'src/move.ts': ['kernel', 'src/moving', 'src/server', 'scripts'],
  // A thing of its own, which others run without Sluice.
  sandbox: [],
  // Clients like any other, from outside.
  scripts: ['sandbox'],
  'scripts/schema.ts': ['src/schema', 'src/resolvers'],
};

/** Scripts may start the sandbox, and no more. */
const SANDBOX_DOOR = 'sandbox/sandbox.ts';
const MAX_LINES = 300;
const READS_ENVIRONMENT = [
  'src/config.ts',
  'sandbox/main.ts',
  'scripts/import.ts',
  // Whether npm started it.
  'scripts/client/interruption.ts',
];

export function roomOf(path: string): string {
  if (path in ROOMS) return path;
  const [first = '', second = '', third] = path.split('/');
  if (first !== 'src') return first;
  return third === undefined ? 'kernel' : `src/${second}`;
}

export function forbiddenImports(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, imports }) => {
    const room = roomOf(path);
    const allowed = ROOMS[room];
    if (allowed === undefined) return [`${path} is in a room that ROOMS does not name`];
    return imports
      .filter((target) => {
        const other = roomOf(target);
        const isInside = other === room || (allowed.includes(other) && other !== 'sandbox');
        return !isInside && !(allowed.includes(other) && target === SANDBOX_DOOR);
      })
      .map((target) => `${path} imports ${target}`);
  });
}

/** The files of each circle, in the order in which they import each other. */
export function importCycles(files: readonly SourceFile[]): string[] {
  const importsOf = new Map(files.map(({ path, imports }) => [path, imports]));
  const finished = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]) => {
    const at = trail.indexOf(path);
    if (at >= 0) cycles.push([...trail.slice(at), path].join(' → '));
    if (at >= 0 || finished.has(path)) return;
    for (const target of importsOf.get(path) ?? []) visit(target, [...trail, path]);
    finished.add(path);
  };
  for (const { path } of files) visit(path, []);
  return cycles;
}

/** A file that passes on what others export hides where things are. */
export function barrels(files: readonly SourceFile[]): string[] {
  return files
    .filter((file) => file.path.endsWith('/index.ts') || placesWhere(file, isReExport).length > 0)
    .map(({ path }) => path);
}

export function longFiles(files: readonly SourceFile[]): string[] {
  return files
    .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
    .filter(({ lines }) => lines > MAX_LINES)
    .map(({ path, lines }) => `${path}: ${lines} lines`);
}

export function environmentReaders(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => !READS_ENVIRONMENT.includes(path))
    .flatMap((file) => placesWhere(file, isEnvironment));
}

/** Readings of the machine's clocks that do not go through clock.ts: a test could not move these. */
export function clockReaders(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => path.startsWith('src/') && path !== 'src/clock.ts')
    .flatMap((file) => placesWhere(file, readsClock));
}

const CLOCKS = /^(?:Date\.now|performance\.(?:now|timeOrigin)|process\.(?:hrtime|uptime))$/;

function readsClock(node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node)) return CLOCKS.test(node.getText());
  const isDate = ts.isNewExpression(node) && node.expression.getText() === 'Date';
  return isDate && (node.arguments ?? []).length === 0;
}

export function uncheckedTypes(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => placesWhere(file, ({ kind }) => kind === ts.SyntaxKind.AnyKeyword));
}

export function defaultExports(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => placesWhere(file, isDefaultExport));
}

/** A rule is switched off only by its name and, after `--`, with the reason. */
const SILENCED =
  /(?:\/\/|\/\*)\s*(?:@ts-(?:ignore|nocheck)|eslint-disable(?!(?:-next-line|-line)? [^\n]+ -- \S))/;

export function silencedRules(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => (SILENCED.test(line) ? [`${path}:${index + 1}`] : [])),
  );
}

function isReExport(node: ts.Node): boolean {
  return ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined;
}

function isEnvironment(node: ts.Node): boolean {
  return ts.isPropertyAccessExpression(node) && node.getText() === 'process.env';
}

function isDefaultExport(node: ts.Node): boolean {
  return (
    ts.isExportAssignment(node) ||
    (node.kind === ts.SyntaxKind.DefaultKeyword && !ts.isDefaultClause(node.parent))
  );
}
