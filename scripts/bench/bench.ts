import type { Databases } from '../databases/databases.js';
import type { Narrator } from '../demo/narrator.js';
import type { IdOrder } from './people.js';

/** What a bench is asked for. */
export interface Setting {
  readonly profiles: number;
  readonly exports: number;
  readonly ids: IdOrder;
  readonly databases: Databases;
  readonly narrator: Narrator;
  readonly signal: AbortSignal;
}

/** What goals depend on. */
export interface Conditions {
  readonly ids: IdOrder;
  readonly profiles: number;
  readonly database: Databases['kind'];
}

/** One repetition, on a fresh database and a fresh sandbox. */
export interface Measurement {
  /** Of what the bench is about, without its preparation. */
  readonly wallSeconds: number;
  /** Calls of the destination, and those of its importer; null: the bench makes none. */
  readonly requests: number | null;
  readonly importerCalls: number | null;
  /** Of the server, in MB of 10⁶ bytes; null: this system does not tell. */
  readonly peakRssMb: number | null;
  /** How many times as long as a bare loop of the same requests; null: there are none. */
  readonly ratioToBareLoop: number | null;
  /** What this bench alone measures. */
  readonly [figure: string]: number | null;
}

/** What a figure must reach. */
export interface Goal {
  readonly figure: string;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly exactly?: number;
}

export interface Bench {
  readonly name: string;
  /** In one sentence, for the help. */
  readonly about: string;
  /** How many, unless something else is asked for. */
  readonly profiles: number;
  /** How many exports, unless something else is asked for; left out: 10, if the bench has several at all. */
  readonly exports?: number;
  readonly goals: (conditions: Conditions) => readonly Goal[];
  readonly measure: (setting: Setting) => Promise<Measurement>;
}

/** How many a second, whole. */
export function perSecond(count: number, seconds: number): number {
  return Math.round(count / seconds);
}

export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}
