import { CloseCode, type WebSocket as Line } from 'graphql-ws';
import type { WebSocket } from 'ws';
import { describeError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { DoorLimits } from './limits.js';

/**
 * Joins a socket of ws to the protocol of graphql-ws. The adapter that graphql-ws brings writes to the console whatever a
 * caller breaks, and a second error of a socket would end the process.
 */
export function openLine(
  socket: WebSocket,
  { pingIntervalMs, unreadBytes }: Pick<DoorLimits, 'pingIntervalMs' | 'unreadBytes'>,
  logger: Logger,
): Line {
  socket.on('error', (error) => {
    // What is wrong with a frame ws has answered with its own close code.
    logger.debug({ error: describeError(error) }, 'a socket broke');
  });
  cutIfSilent(socket, pingIntervalMs);
  cutIfUnread(socket, unreadBytes);
  return {
    protocol: socket.protocol,
    /** Resolves when the message has left us: until then, no further event is made for this subscription. */
    send: (data) =>
      new Promise((resolve) => {
        // A socket that is gone says so by its close, not here.
        if (socket.readyState === socket.OPEN) socket.send(data, () => resolve());
        else resolve();
      }),
    close: (code, reason) => {
      socket.close(code, reason);
    },
    onMessage: (handle) => {
      // Buffers, as long as nobody sets another `binaryType`.
      socket.on('message', (data: Buffer) => {
        handle(data.toString()).catch((error: unknown) => {
          logger.error({ error: describeError(error) }, 'a message could not be handled');
          socket.close(CloseCode.InternalServerError, 'Internal server error');
        });
      });
    },
  };
}

/** A caller whose machine has gone never closes: it must show that it is there from one ping to the next. */
function cutIfSilent(socket: WebSocket, pingIntervalMs: number): void {
  let alive = true;
  socket.on('pong', () => {
    alive = true;
  });
  const ping = () => {
    alive = false;
    if (socket.readyState === socket.OPEN) socket.ping();
  };
  const pings = setInterval(() => {
    if (alive) {
      ping();
      return;
    }
    // Timers come before what has arrived: after a pause of this process the pong may lie here unread.
    setImmediate(() => {
      if (alive) ping();
      else socket.terminate();
    });
  }, pingIntervalMs);
  socket.once('close', () => {
    clearInterval(pings);
  });
}

/** Events wait for their reader, answers to pings do not: who pings and reads nothing would fill the memory with pongs. */
function cutIfUnread(socket: WebSocket, unreadBytes: number): void {
  const look = () => {
    if (socket.bufferedAmount > unreadBytes) socket.terminate();
  };
  socket.on('message', look);
  socket.on('ping', look);
}
