/**
 * What a statement, or the transaction that it belongs to, is about. PREPARING and CANCELING: it writes while a run is
 * at that; the others: it is the one that brings this about.
 */
export const TOPICS = [
  'ANYTHING',
  'MIGRATION',
  'EARLIER_REMOVALS',
  'IMPORT',
  'SWAP',
  'REQUEST',
  'PREPARING',
  'PREPARED',
  'INTENT',
  'RECEIPT',
  'DECISION',
  'CONFIRMING',
  'CANCEL',
  'CANCELING',
  'CLOSE',
  'CLOSE_CANCELED',
] as const;
export type Topic = (typeof TOPICS)[number];

/** The moment of a kill: within the server, by what it is about to do, or from outside. */
export type Trigger =
  | { readonly at: 'STATEMENT'; readonly topic: Topic }
  | { readonly at: 'COMMIT'; readonly topic: Topic; readonly when: 'before' | 'after' }
  /** before it begins; sent: its last byte has left; answered: the answer is there, and nobody has looked at it. */
  | { readonly at: 'CALL'; readonly route: 'importer' | 'info'; readonly when: CallMoment }
  | { readonly at: 'OUTSIDE'; readonly when: 'any time' | 'starting' | 'accepted' };

export type CallMoment = 'before' | 'sent' | 'answered';

/** What must go on for a point to be reached. */
export type Scene = 'FIRST_START' | 'IMPORT' | 'RUN' | 'CANCEL';

/** A place at which the server is killed. */
export interface Point {
  readonly name: string;
  readonly trigger: Trigger;
  readonly scene: Scene;
  /** It strikes at the nth time that the place is come by, from 1 to this. */
  readonly upTo: number;
}

export const ANY_TIME: Point = {
  name: 'any time',
  trigger: { at: 'OUTSIDE', when: 'any time' },
  scene: 'RUN',
  upTo: 1,
};

export const POINTS: readonly Point[] = [
  statement('migrating', 'MIGRATION', 'FIRST_START', 20),
  ...commits('the migration', 'MIGRATION', 'FIRST_START', 1),
  outside('starting', 'starting'),
  ANY_TIME,
  ...commits('a transaction', 'ANYTHING', 'RUN', 30),
  statement('importing', 'IMPORT', 'IMPORT', 4),
  ...commits('a part of an import', 'IMPORT', 'IMPORT', 2),
  ...commits('the swap of a segment', 'SWAP', 'IMPORT', 2),
  ...commits('the request for a run', 'REQUEST', 'RUN', 2),
  statement('preparing', 'PREPARING', 'RUN', 24),
  ...commits('the end of preparing', 'PREPARED', 'RUN', 2),
  ...commits('an intent', 'INTENT', 'RUN', 5),
  call('before the request of a batch', 'importer', 'before', 5),
  call('between request and receipt', 'importer', 'sent', 5),
  outside('between acceptance and receipt', 'accepted'),
  call('when the receipt arrives', 'importer', 'answered', 5),
  ...commits('a receipt', 'RECEIPT', 'RUN', 5),
  ...commits('the phase of confirming', 'CONFIRMING', 'RUN', 2),
  call('before a question about a batch', 'info', 'before', 4),
  call('when an outcome arrives', 'info', 'answered', 4),
  ...commits('a decision', 'DECISION', 'RUN', 3),
  ...commits('a cancel', 'CANCEL', 'CANCEL', 1),
  statement('cancelling', 'CANCELING', 'CANCEL', 6),
  ...commits('the end of a cancelled run', 'CLOSE_CANCELED', 'CANCEL', 1),
  statement('closing', 'CLOSE', 'RUN', 2),
  ...commits('the end of a run', 'CLOSE', 'RUN', 2),
];

/** Points that only the start after an upgrade from 0.1.0 reaches: tests name them, and they are not dealt. */
const UPGRADE_POINTS = commits('a step that moves earlier removals', 'EARLIER_REMOVALS', 'FIRST_START', 1);

/** @throws if there is none of that name. */
export function pointNamed(name: string): Point {
  const found = [...POINTS, ...UPGRADE_POINTS].find((point) => point.name === name);
  if (found === undefined) throw new Error(`There is no point "${name}"`);
  return found;
}

function statement(name: string, topic: Topic, scene: Scene, upTo: number): Point {
  return { name, trigger: { at: 'STATEMENT', topic }, scene, upTo };
}

function commits(what: string, topic: Topic, scene: Scene, upTo: number): Point[] {
  return (['before', 'after'] as const).map((when) => ({
    name: `${when} the commit of ${what}`,
    trigger: { at: 'COMMIT', topic, when },
    scene,
    upTo,
  }));
}

function call(name: string, route: 'importer' | 'info', when: CallMoment, upTo: number): Point {
  return { name, trigger: { at: 'CALL', route, when }, scene: 'RUN', upTo };
}

function outside(name: string, when: 'starting' | 'accepted'): Point {
  return { name, trigger: { at: 'OUTSIDE', when }, scene: 'RUN', upTo: 4 };
}
