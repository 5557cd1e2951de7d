import { foldAscii } from './addresses.js';

export const MATCH_TYPES = ['exact', 'begin', 'end'] as const;
export type MatchType = (typeof MATCH_TYPES)[number];

export interface Exclusion {
  readonly id: number;
  readonly matchPhrase: string;
  readonly matchType: MatchType;
  /** Lists to which it is confined; empty: the whole account. */
  readonly lists: number[];
}

/** Addresses that the account never imports: exactly these, or all that begin or end so. */
export class Exclusions {
  private readonly entries: Exclusion[] = [];

  add(matchPhrase: string, matchType: MatchType, lists: number[]): Exclusion {
    const added = { id: this.entries.length + 1, matchPhrase: foldAscii(matchPhrase), matchType, lists };
    this.entries.push(added);
    return added;
  }

  get(id: number): Exclusion | undefined {
    return this.entries[id - 1];
  }

  all(): readonly Exclusion[] {
    return this.entries;
  }

  /** Whether the address (as a key: see addresses.ts) may not be put on these lists. */
  excludes(key: string, lists: readonly number[]): boolean {
    return this.entries.some((exclusion) => {
      const confinedElsewhere =
        exclusion.lists.length > 0 && !exclusion.lists.some((list) => lists.includes(list));
      return !confinedElsewhere && matches(exclusion, key);
    });
  }
}

function matches(exclusion: Exclusion, key: string): boolean {
  switch (exclusion.matchType) {
    case 'exact':
      return key === exclusion.matchPhrase;
    case 'begin':
      return key.startsWith(exclusion.matchPhrase);
    case 'end':
      return key.endsWith(exclusion.matchPhrase);
  }
}
