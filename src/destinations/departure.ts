import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';

type Request = (options: RequestOptions, onResponse: (response: IncomingMessage) => void) => ClientRequest;

/** Tells of one request whether any of it can have reached the destination. */
export interface Departure {
  /** For axios, in place of Node's own modules, which it wraps. */
  readonly transport: { readonly request: Request };
  /** False: no connection was made, so that nothing of the request was written. */
  readonly mayHaveLeft: () => boolean;
}

/**
 * Node hands the request to the socket before there is a connection, and writes it once there is: for https, once the
 * certificate was accepted. Before that moment a failure of any kind (no such name, nobody listening, a bad certificate, a
 * time-out) proves that nothing left. After it nothing proves anything: a connection may break after it was read.
 */
export function watchDeparture(): Departure {
  let mayHaveLeft = false;

  const watch = (request: ClientRequest, connected: 'connect' | 'secureConnect') => {
    const leave = () => {
      mayHaveLeft = true;
    };
    request.once('socket', (socket) => {
      if (request.reusedSocket || (connected === 'connect' && !socket.connecting)) leave();
      else socket.once(connected, leave);
    });
    return request;
  };

  const request: Request = (options, onResponse) =>
    options.protocol === 'https:'
      ? watch(https.request(options, onResponse), 'secureConnect')
      : watch(http.request(options, onResponse), 'connect');

  return { transport: { request }, mayHaveLeft: () => mayHaveLeft };
}
