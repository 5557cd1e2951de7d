import type { WebSocket } from 'ws';

/** The open sockets of each principal. */
export interface Seats {
  /** Takes one until the socket closes; false: all are taken, or it has closed already. */
  readonly take: (userId: string, socket: WebSocket) => boolean;
}

export function createSeats(seatsPerPrincipal: number): Seats {
  const taken = new Map<string, Set<WebSocket>>();
  return {
    take: (userId, socket) => {
      const sockets = taken.get(userId) ?? new Set<WebSocket>();
      if (sockets.size >= seatsPerPrincipal || socket.readyState !== socket.OPEN) return false;
      taken.set(userId, sockets.add(socket));
      socket.once('close', () => {
        sockets.delete(socket);
        if (sockets.size === 0) taken.delete(userId);
      });
      return true;
    },
  };
}
