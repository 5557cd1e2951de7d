import type { Server } from '../client/upload.js';

/** What is left running, and how to reach it. */
export interface Kept {
  readonly server: Server;
  readonly sandbox: { readonly url: string; readonly apiKey: string };
  readonly logFile: string;
}

const QUERY = '{ exportRuns { nodes { id state progress { members confirmed rejected } } } }';

/** How to go on by hand. */
export function describeKept({ server, sandbox, logFile }: Kept): string {
  const { url, token } = server;
  return [
    '  Still running, until Ctrl-C:',
    `    Sluice       ${url}/graphql`,
    `    token        ${token}`,
    `    sandbox      ${sandbox.url} with the key ${sandbox.apiKey}; what it holds: ${sandbox.url}/sandbox/contacts`,
    `    log          ${logFile}`,
    '  Try:',
    `    curl ${url}/graphql -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' \\`,
    `      -d '${JSON.stringify({ query: QUERY })}'`,
    `    curl ${sandbox.url}/sandbox/state`,
    '',
  ].join('\n');
}
