import type { Clock } from '../clock.js';
import type { AccountMetrics } from './engine-metrics.js';
import type { Turns } from './turns.js';

/** The same turns; how long each was waited for is counted. */
export function meteredTurns(turns: Turns, metrics: AccountMetrics, clock: Clock): Turns {
  return {
    take: (request, perform) => {
      const wishedAt = clock.monotonic();
      return turns.take(request, (second) => {
        metrics.begun(request.kind === 'PAIR' ? 'CALL' : request.kind, clock.monotonic() - wishedAt);
        return perform(() => {
          const mayBegin = second();
          if (mayBegin) metrics.begun('CALL', 0);
          return mayBegin;
        });
      });
    },
  };
}
