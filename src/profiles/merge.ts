import type { Attributes } from '../entities/profile.js';
import { hasVisibleCharacter } from '../visible.js';
import type { GoodRow } from './row.js';

/** What becomes of attributes that a line does not name: `merge` keeps them, `replace` drops them. */
export type ImportMode = 'merge' | 'replace';

/** How one attribute changed over a batch. */
export interface AttributeChange {
  /** Profiles that gained a value, less those that lost theirs. */
  filled: number;
  /** The first value that can be seen. */
  sample: string | null;
}

export interface MergedBatch {
  /** Profiles to write, whole. */
  readonly changed: ReadonlyMap<string, Attributes>;
  readonly attributes: ReadonlyMap<string, AttributeChange>;
  /** Lines that changed something, and lines that did not. */
  readonly stored: number;
  readonly unchanged: number;
}

/**
 * Applies the lines to the profiles as they are now, in order: when an id occurs twice, the later line meets what the
 * earlier one made, and each is counted by what it changed.
 */
export function mergeBatch(
  rows: readonly GoodRow[],
  known: ReadonlyMap<string, Attributes>,
  mode: ImportMode,
): MergedBatch {
  const changed = new Map<string, Attributes>();
  const changes = new AttributeChanges();
  let unchanged = 0;
  for (const row of rows) {
    const before = changed.get(row.id) ?? known.get(row.id);
    if (before !== undefined && saysNothingNew(row.attributes, before, mode)) {
      unchanged += 1;
      continue;
    }
    const after =
      before === undefined || mode === 'replace' ? row.attributes : { ...before, ...row.attributes };
    changes.note(before, after);
    changed.set(row.id, after);
  }
  return { changed, attributes: changes.byName, stored: rows.length - unchanged, unchanged };
}

function saysNothingNew(named: Attributes, before: Attributes, mode: ImportMode): boolean {
  let count = 0;
  for (const name in named) {
    if (named[name] !== before[name]) return false;
    count += 1;
  }
  return mode === 'merge' || Object.keys(before).length === count;
}

/** Adds up what happened to each attribute. */
export class AttributeChanges {
  readonly byName = new Map<string, AttributeChange>();

  /** `undefined`: there is, or there is left, no such profile. */
  note(before: Attributes | undefined, after: Attributes | undefined): void {
    for (const name in after) {
      const value = after[name] ?? '';
      const change = this.of(name);
      const isFilled = hasVisibleCharacter(value);
      if (isFilled) change.sample ??= value;
      change.filled += Number(isFilled) - Number(hasVisibleCharacter(before?.[name] ?? ''));
    }
    for (const name in before) {
      if (after?.[name] === undefined && hasVisibleCharacter(before[name] ?? '')) this.of(name).filled -= 1;
    }
  }

  private of(name: string): AttributeChange {
    let change = this.byName.get(name);
    if (change === undefined) {
      change = { filled: 0, sample: null };
      this.byName.set(name, change);
    }
    return change;
  }
}
