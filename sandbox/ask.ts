/** An answer of the sandbox, read whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The text as JSON; undefined if it is none. */
  readonly json: unknown;
}

/**
 * One call of the emulated API, as a client would make it: for tests and for trying things out.
 *
 * @param path what follows `/api/3`, or a path that begins with `/sandbox`
 * @param body sent as JSON, or as it is if it is a text
 * @throws TypeError if the connection breaks
 */
export async function ask(
  sandbox: { readonly url: string; readonly token: string },
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = { 'Api-Token': sandbox.token },
): Promise<Answer> {
  const base = path.startsWith('/sandbox') ? sandbox.url : `${sandbox.url}/api/3`;
  const response = await fetch(base + path, {
    method,
    headers,
    redirect: 'manual',
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
