/** Kinds of routes, by which calls are found in the log and faults are aimed. */
export const ROUTE_KINDS = [
  'importer',
  'info',
  'backlog',
  'me',
  'account',
  'lists',
  'exclusions',
  'contacts',
  'contactLists',
  'unknown',
] as const;
export type RouteKind = (typeof ROUTE_KINDS)[number];

/** One call of the API, as the sandbox saw it. */
export interface Call {
  readonly seq: number;
  /** When it had arrived whole, in sandbox ms. */
  readonly at: number;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly kind: RouteKind;
  /** The status that was answered; 0: none was. */
  status: number;
  /** Importer calls: contacts in it, the batch if it was accepted, the body if the setting keepBodies is on. */
  contacts?: number;
  batchId?: string;
  body?: string;
  /** The scripted fault that struck it, and the quota that refused it. */
  fault?: string;
  quota?: string;
}

/** What became of an accepted batch. */
export interface BatchReport {
  readonly batchId: string;
  readonly contacts: number;
  readonly acceptedAt: number;
  /** When its result was there to be read, in sandbox ms; null: not yet. */
  readonly decidedAt: number | null;
  readonly status: string;
  readonly success: number;
  readonly failure: string[];
  /** Whether the caller ever got the receipt. */
  readonly receiptSent: boolean;
}

export interface SandboxEvents {
  /** A call has arrived; nothing was done with it yet. */
  request: Call;
  /** A call was answered, or it is certain that it will not be. */
  call: Call;
  /** A batch was queued. */
  accepted: BatchReport;
  /** A batch was worked off. */
  processed: BatchReport;
}

type Listeners = { [Name in keyof SandboxEvents]: Set<(event: SandboxEvents[Name]) => void> };

/** Tells listeners what happens, at once and in order. */
export class Bell {
  private readonly listeners: Listeners = {
    request: new Set(),
    call: new Set(),
    accepted: new Set(),
    processed: new Set(),
  };

  /** @returns a function that stops listening */
  on<Name extends keyof SandboxEvents>(
    name: Name,
    listener: (event: SandboxEvents[Name]) => void,
  ): () => void {
    const listeners: Set<(event: SandboxEvents[Name]) => void> = this.listeners[name];
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  ring<Name extends keyof SandboxEvents>(name: Name, event: SandboxEvents[Name]): void {
    const listeners: Set<(event: SandboxEvents[Name]) => void> = this.listeners[name];
    for (const listener of [...listeners]) listener(event);
  }
}

/** The record of all calls. */
export class Journal {
  readonly calls: Call[] = [];

  constructor(readonly bell: Bell) {}

  arrived(call: Omit<Call, 'seq' | 'status'>): Call {
    const entry: Call = { seq: this.calls.length + 1, status: 0, ...call };
    this.calls.push(entry);
    this.bell.ring('request', entry);
    return entry;
  }

  finished(call: Call, status: number): void {
    call.status = status;
    this.bell.ring('call', call);
  }
}
