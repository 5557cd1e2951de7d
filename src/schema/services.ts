import type { ConnectionServices } from '../connections/services.js';
import type { Queue } from '../exports/queue.js';
import type { EngineServices } from '../exports/run-context.js';
import type { ConsentWatch } from '../jobs/consent-watch.js';
import type { HeldRunsWatch } from '../jobs/held-runs.js';
import type { Refresher } from '../jobs/refresher.js';
import type { Scheduler } from '../jobs/scheduler.js';
import type { PeopleServices, SignInServices } from '../people/services.js';
import type { SignIn } from '../people/sign-in.js';
import type { SegmentEvaluationServices } from '../profiles/evaluate-segment.js';
import type { CallRate } from '../webhooks/call-rate.js';
import type { Wire } from '../wire.js';
import type { WriteDownRefusedCall } from '../webhooks/refused-calls.js';
import type { Decoys } from '../webhooks/trigger-secrets.js';

/** Everything that the server is made of, built once in server/compose.ts. Each function takes what it needs of it. */
export interface Services
  extends ConnectionServices, EngineServices, SegmentEvaluationServices, PeopleServices, SignInServices {
  readonly queue: Queue;
  /** What is shared with other processes; closed when everything that uses it has stopped. */
  readonly between: { readonly wire: Wire; readonly close: () => Promise<void> };
  readonly heldRuns: HeldRunsWatch;
  readonly signIn: SignIn;
  readonly consentWatch: ConsentWatch;
  readonly refresher: Refresher;
  readonly scheduler: Scheduler;
  readonly decoys: Decoys;
  readonly callRate: CallRate;
  readonly writeDownRefusedCall: WriteDownRefusedCall;
}
