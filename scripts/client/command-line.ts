import { parseArgs, type ParseArgsConfig } from 'node:util';
import { messageOf, UsageError } from './failure.js';

type Flags = NonNullable<ParseArgsConfig['options']>;

/** Reads flags and positionals. @throws {UsageError} for a flag that there is not, or one without its value. */
export function readFlags<const T extends Flags>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error: unknown) {
    throw new UsageError(messageOf(error));
  }
}

export interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly whole: boolean;
}

/** @throws {UsageError} that names the flag, if its value is no number within the bounds. */
export function readNumber(flag: string, value: string, { min, max, whole }: Bounds): number {
  const number = Number(value);
  const fits = value.trim() !== '' && number >= min && number <= max;
  if (fits && (!whole || Number.isInteger(number))) return number;
  const kind = whole ? 'a whole number' : 'a number';
  throw new UsageError(`--${flag} wants ${kind} from ${min} to ${max.toLocaleString('en')}, not "${value}".`);
}
