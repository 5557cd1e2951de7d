import { once } from 'node:events';
import type { AddressInfo, LookupFunction, Server, Socket } from 'node:net';
import tls, { type ConnectionOptions } from 'node:tls';

/** A server at a public address. */
export interface PublicHost extends AsyncDisposable {
  /** How many connections arrived. */
  readonly arrivals: () => number;
}

/** Made for this test, by openssl, for nothing else: one key, three certificates for it. */
export const CERTIFICATES = {
  /** For acme.api-us1.com, 2020 to 2120. */
  good: `-----BEGIN CERTIFICATE-----
MIIBdjCCARygAwIBAgIBATAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBhY21lLmFw
aS11czEuY29tMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAbMRkw
FwYDVQQDDBBhY21lLmFwaS11czEuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAELns93d51HNthblA1YDFEgO0MivKocGdJO7O2Q5VlHpWAfNK9+oap9nnNwHe0
cCe5SFHQarITQhz227HQu6UvgaNPME0wGwYDVR0RBBQwEoIQYWNtZS5hcGktdXMx
LmNvbTAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBT8IgqADoTUz2sJWr/o8tjj
v/hKSjAKBggqhkjOPQQDAgNIADBFAiEA4Q1kusvqvrFpu9ximW7IeUy9Ne3Bjmt5
RLs50EaIT9wCIEjeeTP+XYEXAwvBtsXRI4ueG7qpG8C7arnsoZ7L54Qn
-----END CERTIFICATE-----
`,
  /** The same for other.example. */
  forAnotherHost: `-----BEGIN CERTIFICATE-----
MIIBbTCCAROgAwIBAgIBATAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1vdGhlci5l
eGFtcGxlMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAYMRYwFAYD
VQQDDA1vdGhlci5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELns9
3d51HNthblA1YDFEgO0MivKocGdJO7O2Q5VlHpWAfNK9+oap9nnNwHe0cCe5SFHQ
arITQhz227HQu6UvgaNMMEowGAYDVR0RBBEwD4INb3RoZXIuZXhhbXBsZTAPBgNV
HRMBAf8EBTADAQH/MB0GA1UdDgQWBBT8IgqADoTUz2sJWr/o8tjjv/hKSjAKBggq
hkjOPQQDAgNIADBFAiEA1JNs+ZQm3xKYJDemuVfDf2mmWLUl5xhNjNQO4xL2CjAC
IDkHzneKuO7MrJMYE5I3pYET6Tok851d1FJZOBaaTIVi
-----END CERTIFICATE-----
`,
  /** For acme.api-us1.com, January 2020. */
  expired: `-----BEGIN CERTIFICATE-----
MIIBdDCCARqgAwIBAgIBATAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBhY21lLmFw
aS11czEuY29tMB4XDTIwMDEwMTAwMDAwMFoXDTIwMDIwMTAwMDAwMFowGzEZMBcG
A1UEAwwQYWNtZS5hcGktdXMxLmNvbTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA
BC57Pd3edRzbYW5QNWAxRIDtDIryqHBnSTuztkOVZR6VgHzSvfqGqfZ5zcB3tHAn
uUhR0GqyE0Ic9tux0LulL4GjTzBNMBsGA1UdEQQUMBKCEGFjbWUuYXBpLXVzMS5j
b20wDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU/CIKgA6E1M9rCVq/6PLY47/4
SkowCgYIKoZIzj0EAwIDSAAwRQIhAJeEkWN4tQc321+ZvuvmbBtHG8YnaVcW1I0P
QpCPg2lkAiAsq1/xrM7ednqTPSDalWaIvW1z+lwlgtmfYTUMKsdhwg==
-----END CERTIFICATE-----
`,
};

export const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2FJhfGo10T1CBacZ
FvNKfsRoF0PJbP+bgyKmgxf13C2hRANCAAQuez3d3nUc22FuUDVgMUSA7QyK8qhw
Z0k7s7ZDlWUelYB80r36hqn2ec3Ad7RwJ7lIUdBqshNCHPbbsdC7pS+B
-----END PRIVATE KEY-----
`;

/**
 * Lets every TLS connection of this process go to the server, as if it stood at whatever public address the name leads
 * to, until it is disposed. Everything else is real: node looks the name up with the function that the agent gives it,
 * goes where that says, and checks the certificate.
 * @param trusted a certificate that counts as signed by somebody known.
 */
export async function publicHost(server: Server, trusted?: string): Promise<PublicHost> {
  let arrived = 0;
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    arrived += 1;
    open.add(socket.on('error', () => undefined));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { connect } = tls;
  const redirect = (options: ConnectionOptions) =>
    connect({ ...options, port, ca: trusted, lookup: toTheServer(options.lookup) });
  Object.assign(tls, { connect: redirect });
  return {
    arrivals: () => arrived,
    [Symbol.asyncDispose]: async () => {
      Object.assign(tls, { connect });
      server.close();
      for (const socket of open) socket.destroy();
      await once(server, 'close');
    },
  };
}

/** Names of the internet: what a look-up answers, one after the other; the last one stays. */
export function namesOf(
  ...addresses: readonly (readonly string[])[]
): LookupFunction & { readonly asked: string[] } {
  const asked: string[] = [];
  const lookup: LookupFunction = (name, options, done) => {
    const list = (addresses[asked.length] ?? addresses.at(-1) ?? []).map((address) => ({
      address,
      family: address.includes(':') ? 6 : 4,
    }));
    asked.push(name);
    const [first] = list;
    if (options.all === true) done(null, list);
    else done(null, first?.address ?? '', first?.family);
  };
  return Object.assign(lookup, { asked });
}

/** The address that the agent let through is one of the public ones: there, the test's server stands. */
function toTheServer(guarded: LookupFunction | undefined): LookupFunction {
  return (name, options, done) => {
    if (guarded === undefined) throw new Error('Nobody looks at the address.');
    guarded(name, options, (error, found, family) => {
      if (error) done(error, found, family);
      else if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }]);
      else done(null, '127.0.0.1', 4);
    });
  };
}
