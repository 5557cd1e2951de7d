import { Histogram, type Registry } from 'prom-client';
import type { OnCall } from '../destinations/measured.js';

/** Seconds. A destination has 30 s for each of its answers. */
const BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Adds how long destinations take, by what they are asked and how it ends. */
export function createDestinationMetrics(registry: Registry): OnCall {
  const latency = new Histogram({
    name: 'sluice_destination_request_seconds',
    help: 'How long destinations take for calls of this process, by operation and result; check and lists can be several requests. too_fast rising: others use the account, it is slowed down by itself. retry_later: it is slow or away, it is tried again; look at its status page. credentials: somebody must mend a connection. broken: a fault of ours, see the log.',
    labelNames: ['operation', 'result'],
    buckets: BUCKETS,
    registers: [registry],
  });
  return (operation, result, ms) => {
    latency.observe({ operation, result }, ms / 1_000);
  };
}
