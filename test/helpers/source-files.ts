import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import ts from 'typescript';

export interface SourceFile {
  /** From the project's folder, with slashes: `src/profiles/import.ts`. */
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
  /** Paths of the project's files that it imports or re-exports, types too. */
  readonly imports: readonly string[];
}

/** Every TypeScript file below the folder. */
export function sourceFiles(folder: string): SourceFile[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((path) => parseFile(path, readFileSync(path, 'utf8')));
}

export function parseFile(path: string, text: string): SourceFile {
  const imports = ts
    .preProcessFile(text, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => posix.join(posix.dirname(path), specifier.replace(/\.js$/, '.ts')));
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true), imports };
}

/** `path:line` of every node of the syntax tree for which `fits` holds. */
export function placesWhere({ path, tree }: SourceFile, fits: (node: ts.Node) => boolean): string[] {
  const places: string[] = [];
  const visit = (node: ts.Node) => {
    if (fits(node))
      places.push(`${path}:${tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1}`);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return places;
}
