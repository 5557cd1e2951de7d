import { addressKey } from './addresses.js';
import type { Call, RouteKind } from './journal.js';

/** What goes wrong. Times are in sandbox time. */
export type FaultAction =
  /** Any status, with a body that fits it unless one is given. */
  | { type: 'answer'; status: number; body?: string; contentType?: string; retryAfterSeconds?: number }
  /** 429, `Retry-After` as set or as given. */
  | { type: 'rate-limit'; retryAfterSeconds?: number }
  /** A maintenance page in HTML, with 200 unless another status is given. */
  | { type: 'html'; status?: number }
  | { type: 'redirect'; location?: string }
  /** The connection breaks: before the call has any effect, or when it has had it. */
  | { type: 'reset'; when: 'before' | 'after' }
  /** No answer ever comes, the connection stays open: likewise. */
  | { type: 'hang'; when: 'before' | 'after' }
  /** Half of the answer comes: then the connection breaks, or (`cleanly`) it ends as if that were all. */
  | { type: 'truncate'; cleanly?: boolean }
  | { type: 'slow'; delayMs: number }
  /** The importer's rate-limit 400. */
  | { type: 'quota' }
  /** The importer's validation 400: `contacts` are the places (from 1) of the culprits. */
  | { type: 'refuse'; contacts?: number[]; named?: boolean; reason?: string }
  /** Accepted, then failed or interrupted after `processed` contacts. */
  | { type: 'batch'; status: 'failed' | 'interrupted'; processed?: number }
  /** Accepted and worked off, but `/import/info` keeps saying `status`, for `polls` polls or for ever. */
  | { type: 'withhold'; status?: false | 'waiting' | 'claimed' | 'active'; polls?: number }
  /** Just before this call is looked at, a list vanishes or a key (all of them) stops working. */
  | { type: 'delete-list'; list: number }
  | { type: 'revoke-key'; key?: string };

/** Which calls a fault strikes: the nth of a kind and the next `times − 1`, or each with a probability. */
export interface FaultRule {
  on: RouteKind | 'any';
  method?: string;
  /** Only calls that hold this text: in their path, in their decoded query or in their body. */
  containing?: string;
  /** Counted from 1, from the moment at which the fault was set. Default 1. */
  nth?: number;
  /** How often it strikes; null: for ever. Default 1, with a probability for ever. */
  times?: number | null;
  /** 0 to 1: strikes by chance, reproducibly by `seed`. */
  probability?: number;
  seed?: number;
  action: FaultAction;
}

interface ScriptedFault {
  readonly id: number;
  readonly rule: FaultRule;
  readonly random: () => number;
  matched: number;
  struck: number;
}

/** The faults that are set. Of several that would strike one call the oldest does; the others keep their turn. */
export class Faults {
  private scripted: ScriptedFault[] = [];
  private lastId = 0;
  struck = 0;

  add(rule: FaultRule): number {
    this.lastId += 1;
    const random = randomBySeed(rule.seed ?? this.lastId);
    this.scripted.push({ id: this.lastId, rule, random, matched: 0, struck: 0 });
    return this.lastId;
  }

  clear(id?: number): void {
    this.scripted = id === undefined ? [] : this.scripted.filter((fault) => fault.id !== id);
  }

  all(): { id: number; rule: FaultRule; matched: number; struck: number }[] {
    return this.scripted.map(({ id, rule, matched, struck }) => ({ id, rule, matched, struck }));
  }

  /** The fault for this call, if any. Must be asked once for each call. */
  strike(call: Call, body: Buffer): FaultAction | undefined {
    let striking: ScriptedFault | undefined;
    for (const fault of this.scripted) {
      if (!aimsAt(fault.rule, call, body)) continue;
      fault.matched += 1;
      if (wouldStrike(fault)) striking ??= fault;
    }
    if (striking === undefined) return undefined;
    striking.struck += 1;
    this.struck += 1;
    return striking.rule.action;
  }
}

function aimsAt(rule: FaultRule, call: Call, body: Buffer): boolean {
  if (rule.on !== 'any' && rule.on !== call.kind) return false;
  if ((rule.method ?? call.method) !== call.method) return false;
  const { containing } = rule;
  if (containing === undefined) return true;
  const query = [...new URLSearchParams(call.query)].map(([name, value]) => `${name}=${value}`).join('&');
  return call.path.includes(containing) || query.includes(containing) || body.includes(containing);
}

function wouldStrike({ rule, random, matched, struck }: ScriptedFault): boolean {
  const { nth = 1, times = rule.probability === undefined ? 1 : null, probability = 1 } = rule;
  // Drawn for every matching call, so that the sequence depends on the seed and the call's place alone.
  const drawn = random() < probability;
  return drawn && matched >= nth && (times === null || struck < times);
}

/** Numbers in [0, 1) that depend on the seed only (a 32-bit Weyl sequence, mixed). */
function randomBySeed(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** Refuses addresses each time they come, in one of three ways. */
export interface AddressRule {
  /** These addresses, in any ASCII case … */
  emails?: string[];
  /** … or those whose key this matches (see addresses.ts: ASCII in lower case). */
  matching?: RegExp | ((email: string) => boolean);
  /** 400 that names the contact, 400 that does not, or accepted and listed under `failure`. */
  how: 'named' | 'unnamed' | 'later';
  reason?: string;
}

export class AddressRules {
  private rules: { how: AddressRule['how']; reason: string; matches: (key: string) => boolean }[] = [];

  add({ emails = [], matching, how, reason = "Field 'email' incorrect format" }: AddressRule): void {
    const keys = new Set(emails.map(addressKey));
    const matchesToo = matching instanceof RegExp ? (key: string) => matching.test(key) : matching;
    this.rules.push({ how, reason, matches: (key) => keys.has(key) || matchesToo?.(key) === true });
  }

  clear(): void {
    this.rules = [];
  }

  /** The first rule that refuses this key now, or later. */
  find(key: string, when: 'now' | 'later'): { how: AddressRule['how']; reason: string } | undefined {
    if (this.rules.length === 0) return undefined;
    return this.rules.find((rule) => (rule.how === 'later') === (when === 'later') && rule.matches(key));
  }
}
