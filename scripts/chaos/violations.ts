/** Something that must never be, with what is needed to look into it. */
export interface Violation {
  readonly rule: string;
  readonly detail: string;
}

/** Of one rule so many are told word for word; all are counted. */
const TOLD_OF_A_RULE = 10;

/** Gathers what is found wrong. */
export class Violations {
  private readonly found = new Map<string, string[]>();

  add(rule: string, detail: string): void {
    const details = this.found.get(rule) ?? [];
    details.push(detail);
    this.found.set(rule, details);
  }

  get count(): number {
    return [...this.found.values()].reduce((sum, details) => sum + details.length, 0);
  }

  list(): Violation[] {
    return [...this.found].flatMap(([rule, details]) => {
      const told = details.slice(0, TOLD_OF_A_RULE).map((detail) => ({ rule, detail }));
      const more = details.length - told.length;
      return more === 0 ? told : [...told, { rule, detail: `… and ${more} more like this` }];
    });
  }
}
