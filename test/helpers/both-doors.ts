import { admitted, type Message } from './raw-client.js';
import type { GraphQLFailure, Sluice, Variables } from './sluice.js';

/** The ways in. What holds at one must hold at the other. */
export const BOTH_DOORS = ['HTTP', 'WebSocket'] as const;
export type Door = (typeof BOTH_DOORS)[number];

/** The same question about a run at each door: over WebSocket only subscriptions run. */
export function aboutARun(door: Door, selection: string, definitions = ''): string {
  const question =
    door === 'HTTP' ? '{ exportRun(id: "nowhere")' : 'subscription { exportRunChanged(runId: "nowhere")';
  return `${question} { ${selection} } } ${definitions}`;
}

/** Asks at that door; answers the errors, of which there must be some. */
export async function refusalsAt(
  sluice: Sluice,
  door: Door,
  document: string,
  variables?: Variables,
): Promise<GraphQLFailure[]> {
  const failures =
    door === 'HTTP'
      ? (await sluice.request(document, variables)).body.errors
      : await subscribe(sluice, document, variables);
  if (failures === undefined || failures.length === 0) throw new Error(`${document} was not refused.`);
  return failures;
}

/** The errors of a message, whether it refuses the operation or a part of its answer. */
export function failuresOf({ payload }: Message): GraphQLFailure[] {
  const failures = Array.isArray(payload) ? payload : (payload as { errors?: unknown[] }).errors;
  return (failures ?? []) as GraphQLFailure[];
}

async function subscribe(
  sluice: Sluice,
  document: string,
  variables: Variables | undefined,
): Promise<GraphQLFailure[]> {
  const client = await admitted(sluice);
  try {
    return failuresOf(await client.subscribe(document, variables));
  } finally {
    client.socket.terminate();
  }
}
