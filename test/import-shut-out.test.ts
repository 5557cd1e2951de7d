import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { onPostgres } from './helpers/databases.js';
import { people } from './helpers/engine.js';
import { newTokenOf, newUser, revoke, setDisabled, setRole } from './helpers/people.js';
import { startSluice, temporaryFolder, type Sluice } from './helpers/sluice.js';

interface Uploader {
  readonly userId: string;
  readonly tokenId: string;
}

/** Sent before the user is shut out: many blocks of a body, and more rows than one transaction stores. */
const SOME = 20_000;
const rows = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, n) => `p${String(from + n).padStart(6, '0')},x\n`).join('');

/** A contributor who has sent some rows of a file for the segment "All", of which some are stored, and more are to come. */
async function startUpload(sluice: Sluice, by: Sluice = sluice) {
  await by.importCsv(people(10), { segment: 'All' });
  const userId = await newUser(by, 'CONTRIBUTOR');
  const { id: tokenId, token } = await newTokenOf(by, userId);
  const client = request(`${sluice.url}/profiles?id=id&segment=All`, {
    method: 'PUT',
    headers: { 'content-type': 'text/csv', authorization: `Bearer ${token}` },
  });
  // It is cut once it is shut out.
  client.on('error', () => undefined);
  const answered = once(client, 'response').then(async ([response]: IncomingMessage[]) => {
    const body = (await response?.setEncoding('utf8').toArray())?.join('') ?? '';
    return { status: response?.statusCode, body: JSON.parse(body) as unknown };
  });
  client.write(`id,sent\n${rows(0, SOME)}`);
  while ((await storedBy(by)) === 0) await new Promise(setImmediate);
  return { client, answered, uploader: { userId, tokenId } };
}

/** How many rows of the upload are stored. */
async function storedBy(sluice: Sluice): Promise<number> {
  const { profileAttributes } = await sluice.query<{ profileAttributes: { name: string; filled: number }[] }>(
    '{ profileAttributes { name filled } }',
  );
  return profileAttributes.find(({ name }) => name === 'sent')?.filled ?? 0;
}

async function membersOf(sluice: Sluice): Promise<number[]> {
  const { segments } = await sluice.query<{ segments: { nodes: { memberCount: number }[] } }>(
    '{ segments { nodes { memberCount } } }',
  );
  return segments.nodes.map(({ memberCount }) => memberCount);
}

async function expectEnd(
  { client, answered }: Awaited<ReturnType<typeof startUpload>>,
  sluice: Sluice,
): Promise<void> {
  const closed = once(client, 'close');
  const { status, body } = await answered;
  expect(status).toBe(403);
  expect(body).toMatchObject({
    errors: [
      {
        message: expect.stringMatching(
          /^The import has ended: The (user|role|token) .*no segment was changed\.$/,
        ) as string,
        extensions: { code: 'FORBIDDEN' },
      },
    ],
  });
  const before = await storedBy(sluice);
  client.end(rows(SOME, 2 * SOME));
  await closed;
  expect(await storedBy(sluice)).toBe(before);
  expect(await membersOf(sluice)).toEqual([10]);
}

const CHANGES: [string, (sluice: Sluice, uploader: Uploader) => Promise<unknown>][] = [
  ['the user is disabled', (sluice, { userId }) => setDisabled(sluice, userId, true)],
  ['the user is demoted', (sluice, { userId }) => setRole(sluice, userId, 'VIEWER')],
  ['the token is revoked', (sluice, { tokenId }) => revoke(sluice, tokenId)],
];

describe('an import under way', () => {
  it.each(CHANGES)('ends when %s: nothing more is stored, and the segment stays', async (_what, change) => {
    await using sluice = await startSluice();
    const upload = await startUpload(sluice);
    await change(sluice, upload.uploader);
    await expectEnd(upload, sluice);
    const { auditEvents } = await sluice.query<{
      auditEvents: { nodes: { action: string; result: string; actor: { id: string } | null }[] };
    }>('{ auditEvents(first: 10) { nodes { action result actor { id } } } }');
    expect(auditEvents.nodes).toContainEqual({
      action: 'importProfiles',
      result: 'FORBIDDEN',
      actor: { id: upload.uploader.userId },
    });
  });

  it('goes on when the user is promoted', async () => {
    await using sluice = await startSluice();
    const { client, answered, uploader } = await startUpload(sluice);
    await setRole(sluice, uploader.userId, 'ADMINISTRATOR');
    client.end(rows(SOME, 2 * SOME));
    expect(await answered).toMatchObject({ status: 200, body: { received: 2 * SOME, removed: 10 } });
    expect(await membersOf(sluice)).toEqual([2 * SOME]);
  });

  onPostgres('ends also when the user is disabled through another process', async () => {
    await using folder = await temporaryFolder();
    const env = { SLUICE_PROCESS: 'api' };
    await using one = await startSluice({ folder: folder.path, env });
    await using other = await startSluice({ folder: folder.path, env });
    const upload = await startUpload(one, other);
    await setDisabled(other, upload.uploader.userId, true);
    await expectEnd(upload, other);
  });
});
