import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { Failure, messageOf } from './failure.js';
import { unreachable, withSlash, type Server } from './upload.js';

type Variables = Record<string, unknown>;

interface GraphQLAnswer<Data> {
  readonly data?: Data | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly extensions?: { readonly remedy?: string };
  }[];
}

/** Speaks GraphQL with a Sluice server: queries and mutations over HTTP, subscriptions over WebSocket. */
export class GraphQLClient {
  private readonly address: URL;

  constructor(
    private readonly server: Server,
    private readonly signal: AbortSignal,
  ) {
    this.address = new URL('graphql', withSlash(server.url));
  }

  /** @throws {Failure} with the server's own message and remedy. */
  async query<Data>(document: string, variables?: Variables): Promise<Data> {
    return dataOf(await this.post<Data>(document, variables));
  }

  /** The data of each event, until the stream ends. @throws {Failure} if the server refuses or goes away. */
  async *subscribe<Data>(document: string, variables?: Variables): AsyncGenerator<Data> {
    const client = createClient({
      url: this.address.href.replace(/^http/, 'ws'),
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${this.server.token}` },
      retryAttempts: 0,
    });
    // Ends the stream from outside; what it then throws or does not is settled below.
    const stop = () => {
      void client.dispose();
    };
    this.signal.addEventListener('abort', stop, { once: true });
    try {
      for await (const answer of client.iterate<Data>({ query: document, variables: variables ?? null })) {
        this.signal.throwIfAborted();
        yield dataOf(answer as GraphQLAnswer<Data>);
      }
      this.signal.throwIfAborted();
    } catch (error: unknown) {
      this.signal.throwIfAborted();
      if (error instanceof Failure) throw error;
      throw new Failure(
        `The subscription broke off: ${reasonOf(error)}.`,
        'The log of the server may say why.',
      );
    } finally {
      this.signal.removeEventListener('abort', stop);
      await client.dispose();
    }
  }

  private async post<Data>(query: string, variables?: Variables): Promise<GraphQLAnswer<Data>> {
    try {
      const response = await fetch(this.address, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${this.server.token}` },
        body: JSON.stringify({ query, variables }),
        signal: this.signal,
      });
      return (await response.json()) as GraphQLAnswer<Data>;
    } catch (error: unknown) {
      this.signal.throwIfAborted();
      // fetch keeps the reason in the cause.
      throw unreachable(this.server, error instanceof Error ? (error.cause ?? error) : error);
    }
  }
}

function dataOf<Data>({ data, errors }: GraphQLAnswer<Data>): Data {
  const [first] = errors ?? [];
  if (first !== undefined) throw new Failure(first.message, first.extensions?.remedy);
  if (data === undefined || data === null) throw new Failure('The server answered without data.');
  return data;
}

/** A socket that ends tells it by an event of closing, not by an error. */
function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return messageOf(error);
  const reason = 'reason' in error && typeof error.reason === 'string' ? error.reason : '';
  return `the server closed the connection (${[String(error.code), reason].join(' ').trim()})`;
}
