import type { Attributes } from '../entities/profile.js';
import { BadInputError } from '../errors.js';
import { trimAscii } from '../names.js';
import { looksOf } from '../visible.js';
import type { Row, RowReader } from './row.js';
import {
  EMPTY_ID,
  isUnstorable,
  MAX_ATTRIBUTES,
  problemOfId,
  problemOfLength,
  problemOfAttributeName,
  quote,
} from './rules.js';

export interface NdjsonOptions {
  /** The key of the id. */
  readonly idColumn: string;
  /** The keys to read besides the id; undefined: all. */
  readonly columns: readonly string[] | undefined;
  /** Whether the id is also an attribute, under its key. */
  readonly idAttribute: boolean;
}

/** Understands newline-delimited JSON: one object a line, its keys the names of attributes. Empty lines are passed over. */
export function ndjsonRowReader(options: NdjsonOptions): RowReader {
  const { idColumn, idAttribute } = options;
  const columns = options.columns && new Set(options.columns);
  const context = { idColumn, columns, idAttribute, names: new AttributeNames() };
  let line = 0;
  let empty = true;

  return {
    read({ text, suspect }) {
      const rows: Row[] = [];
      const lines = text.split('\n');
      lines.pop();
      for (const written of lines) {
        line += 1;
        if (written.trim() === '') continue;
        empty = false;
        rows.push(readLine(written, { ...context, line, suspect }));
      }
      return rows;
    },

    last() {
      if (empty) {
        throw new BadInputError('body', 'The file is empty.', 'Send one JSON object on each line.');
      }
      return [];
    },
  };
}

interface Context {
  readonly line: number;
  readonly idColumn: string;
  readonly columns: ReadonlySet<string> | undefined;
  readonly idAttribute: boolean;
  readonly names: AttributeNames;
  readonly suspect: boolean;
}

function readLine(written: string, context: Context): Row {
  const { line, idColumn, columns, idAttribute, names, suspect } = context;
  let id: string | undefined;
  // Until the line was understood.
  let hasUnreadableId = true;
  const refuse = (problem: string): Row => ({ line, id, hasUnreadableId, problem });

  const parsed = parseObject(written);
  if (typeof parsed === 'string') return refuse(parsed);
  const attributes: Attributes = {};
  let hasIdKey = false;
  let idProblem: string | undefined;
  hasUnreadableId = false;
  let problem: string | undefined;
  // The whole line is read even if some value is bad: the id may come behind it.
  for (const [key, value] of Object.entries(parsed)) {
    const name = names.get(key);
    const text = textOf(value);
    if (name.text === idColumn) {
      hasIdKey = true;
      idProblem =
        text === undefined ? 'the id is not a text or an exact number' : problemOfId(trimAscii(text));
      if (idProblem === undefined && !(suspect && text?.includes('\ufffd'))) id = text && trimAscii(text);
      hasUnreadableId = id === undefined && idProblem !== EMPTY_ID;
      if (idAttribute && id !== undefined) attributes[idColumn] = id;
    } else if (columns !== undefined && !columns.has(name.text)) continue;
    else if (name.problem !== undefined) problem ??= `the name ${quote(key)} cannot be used: ${name.problem}`;
    else if (text === undefined) problem ??= describeBadValue(name.text, value);
    else if (name.text in attributes) problem ??= `it names ${quote(name.text)} twice`;
    else {
      problem ??= problemOfLength(name.text, text);
      if (isUnstorable(text)) problem ??= `the value of ${quote(name.text)} has a NUL or half a character`;
      attributes[name.text] = text;
    }
  }
  if (suspect && written.includes('\ufffd')) return refuse('it has bytes that are not UTF-8');
  if (!hasIdKey) return refuse(describeMissingId(idColumn, Object.keys(parsed)));
  if (idProblem !== undefined) return refuse(idProblem);
  if (Object.keys(attributes).length > MAX_ATTRIBUTES) {
    problem ??= `it names more than ${MAX_ATTRIBUTES} attributes`;
  }
  if (problem !== undefined || id === undefined) return refuse(problem ?? 'the id cannot be read');
  return { id, attributes };
}

/** The object that the line holds, or what is wrong with it. */
function parseObject(written: string): object | string {
  let parsed: unknown;
  try {
    parsed = JSON.parse(written);
  } catch {
    return 'it is not valid JSON';
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    return 'it is not a JSON object';
  return parsed;
}

/** The value as text; undefined for what has no text that could be trusted. */
function textOf(value: unknown): string | undefined {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  // Beyond 2^53 JSON.parse has already changed the digits, and 1e400 has become Infinity.
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined;
  return Number.isSafeInteger(value) || !Number.isInteger(value) ? String(value) : undefined;
}

function describeMissingId(idColumn: string, keys: readonly string[]): string {
  const looks = looksOf(idColumn);
  const lookalike = keys.find((key) => looksOf(key) === looks);
  const but = lookalike === undefined ? '' : `, but ${quote(lookalike)}, which looks like it`;
  return `it has no ${quote(idColumn)}${but}`;
}

function describeBadValue(name: string, value: unknown): string {
  return typeof value === 'number'
    ? `the number of ${quote(name)} is too large to be kept exactly; send it as text`
    : `the value of ${quote(name)} is an object or a list`;
}

interface AttributeName {
  readonly text: string;
  readonly problem: string | undefined;
}

/** Keys repeat on every line: each is trimmed and checked once. */
class AttributeNames {
  private readonly known = new Map<string, AttributeName>();

  get(key: string): AttributeName {
    const found = this.known.get(key);
    if (found !== undefined) return found;
    const text = trimAscii(key);
    const name = { text, problem: problemOfAttributeName(text) };
    // Keys that never repeat must not fill the memory.
    if (this.known.size < 10 * MAX_ATTRIBUTES) this.known.set(key, name);
    return name;
  }
}
