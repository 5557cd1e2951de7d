import { isRecord } from './call-context.js';
import { SandboxInputError } from './settings.js';

/** The keys of a JSON object, read one by one into what they must be. */
export class Fields {
  constructor(readonly raw: Record<string, unknown>) {}

  text(name: string): string {
    const value = this.optionalText(name);
    if (value === undefined || value === '') throw new SandboxInputError(`"${name}" must be a text.`);
    return value;
  }

  optionalText(name: string): string | undefined {
    const value = this.raw[name];
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw new SandboxInputError(`"${name}" must be a text.`);
    return value;
  }

  count(name: string): number {
    const value = this.optionalCount(name);
    if (value === undefined) throw new SandboxInputError(`"${name}" must be a whole number.`);
    return value;
  }

  optionalCount(name: string): number | undefined {
    const value = this.raw[name];
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      throw new SandboxInputError(`"${name}" must be a whole number, 0 or more.`);
    }
    return value;
  }

  optionalShare(name: string): number | undefined {
    const value = this.raw[name];
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !(value >= 0 && value <= 1)) {
      throw new SandboxInputError(`"${name}" must be a number from 0 to 1.`);
    }
    return value;
  }

  optionalFlag(name: string): boolean | undefined {
    const value = this.raw[name];
    if (value === undefined || typeof value === 'boolean') return value;
    throw new SandboxInputError(`"${name}" must be true or false.`);
  }

  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice {
    const found = this.optionalChoice(name, choices);
    if (found === undefined) throw new SandboxInputError(`"${name}" must be one of: ${choices.join(', ')}.`);
    return found;
  }

  optionalChoice<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    if (this.raw[name] === undefined) return undefined;
    const found = choices.find((choice) => choice === this.raw[name]);
    if (found === undefined) throw new SandboxInputError(`"${name}" must be one of: ${choices.join(', ')}.`);
    return found;
  }

  texts(name: string): string[] {
    const value = this.raw[name] ?? [];
    if (Array.isArray(value) && value.every((entry) => typeof entry === 'string')) return value;
    throw new SandboxInputError(`"${name}" must be an array of texts.`);
  }

  counts(name: string): number[] {
    const value = this.raw[name] ?? [];
    if (Array.isArray(value) && value.every((entry) => Number.isSafeInteger(entry))) return value as number[];
    throw new SandboxInputError(`"${name}" must be an array of whole numbers.`);
  }

  object(name: string): Fields {
    const value = this.raw[name];
    if (!isRecord(value)) throw new SandboxInputError(`"${name}" must be an object.`);
    return new Fields(value);
  }

  objects(name: string): Fields[] {
    const value = this.raw[name];
    if (Array.isArray(value) && value.every(isRecord)) return value.map((entry) => new Fields(entry));
    throw new SandboxInputError(`"${name}" must be an array of objects.`);
  }

  /** The whole object, every value of which must be a text. */
  allTexts(): Record<string, string> {
    return Object.fromEntries(Object.keys(this.raw).map((name) => [name, this.optionalText(name) ?? '']));
  }

  /** What is given under the names that `values` reads, less what is undefined. */
  static present<T extends object>(values: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
    const entries = Object.entries(values).filter(([, value]) => value !== undefined);
    return Object.fromEntries(entries) as { [Name in keyof T]?: Exclude<T[Name], undefined> };
  }
}
