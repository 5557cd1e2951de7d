import 'reflect-metadata';
import { emailKeyOf } from '../src/email-address.js';
import { FormerAddress, type LedgerEntry } from '../src/entities/ledger.js';
import { entriesOf, insert, upgraded, writeOld, type OldEntry } from './helpers/old-ledger.js';
import { temporaryFolder } from './helpers/sluice.js';

/*
 * The migration of the keys of e-mail addresses, from rows as version 0.1.0 wrote them: its key was the address trimmed and
 * in the lower case of Unicode.
 */

const REFUSED = JSON.stringify({ reason: 'REFUSED_BY_DESTINATION', detail: 'No.', at: 1 });
const OPTED_OUT = JSON.stringify({ reason: 'OPTED_OUT', detail: 'No.', at: 1 });
const KELVIN = '\u212A';

const emailsOf = (entries: ReadonlyMap<string, LedgerEntry>) =>
  [...entries].map(([key, { wanted }]) => [key, (JSON.parse(wanted) as string[])[0]]);

describe('the ledger of version 0.1.0', () => {
  it('gets a key for each address that the engine finds again', async () => {
    await using folder = await temporaryFolder();
    const emails = [
      'Ann.Lee@Example.com',
      `${KELVIN}ate@example.com`,
      'ÉVA@example.com',
      '\u212Bsa@example.com',
      'ΝΙΚΟΣ@example.com',
      'josé@example.com',
      'Max@BÜCHER.example',
      `Bo@${KELVIN}elvin.example`,
      'Ann@\u0301a.example',
    ];
    await using database = await upgraded(folder.path, async (manager) => {
      for (const email of emails) await writeOld(manager, { email });
    });
    const entries = await entriesOf(database);
    expect(new Set(entries.keys())).toEqual(new Set(emails.map(emailKeyOf)));
    for (const [key, email] of emailsOf(entries)) expect(emailKeyOf(email ?? '')).toBe(key);
    for (const entry of entries.values()) {
      expect(entry).toMatchObject({ delivered: '=', standing: 1, doubt: null, refusal: null, gone: false });
    }
    expect(entries.get('max@xn--bcher-kva.example')).toMatchObject({
      wanted: JSON.stringify(['Max@xn--bcher-kva.example', 'First', null, null]),
    });
  });

  it('finds its way where keys change places', async () => {
    await using folder = await temporaryFolder();
    await using database = await upgraded(folder.path, async (manager) => {
      await writeOld(manager, { email: `${KELVIN}ate@xn--bcher-kva.example`, profileId: '1' });
      await writeOld(manager, {
        email: 'kate@bücher.example',
        profileId: '2',
        refusal: REFUSED,
        refusedRun: 1,
      });
    });
    const entries = await entriesOf(database);
    expect(entries.get(`${KELVIN}ate@xn--bcher-kva.example`)).toMatchObject({ profileId: '1' });
    // The address that was refused is not the one that is sent from now on.
    expect(entries.get('kate@xn--bcher-kva.example')).toMatchObject({ profileId: '2', refusal: null });
    expect(entries.size).toBe(2);
  });

  it('keeps one entry of an address that two people had, and relies on nothing that was confirmed to the other', async () => {
    await using folder = await temporaryFolder();
    await using database = await upgraded(folder.path, async (manager) => {
      const delivered = JSON.stringify(['kate@example.com', 'First', null, null]);
      await writeOld(manager, { email: `${KELVIN}ate@example.com`, delivered });
    });
    const entries = await entriesOf(database);
    expect([...entries.keys()]).toEqual([`${KELVIN}ate@example.com`]);
    expect([...entries.values()][0]).toMatchObject({ standing: 1, doubt: 0 });
  });

  const ASCII = 'max@xn--bcher-kva.example';
  const UNICODE = 'max@bücher.example';

  it.each<[string, Partial<OldEntry>, Partial<OldEntry>, object]>([
    [
      'an opt-out',
      { standing: 2, refusal: OPTED_OUT, refusedRun: 3 },
      {},
      { standing: 2, refusal: OPTED_OUT, refusedRun: 3, doubt: 0 },
    ],
    [
      'an opt-out on the other side',
      {},
      { standing: 2, refusal: OPTED_OUT, refusedRun: 3 },
      { standing: 2, refusal: OPTED_OUT, doubt: 0 },
    ],
    ['a doubt', { doubt: 7 }, {}, { standing: 1, doubt: 0 }],
    ['a doubt on the other side', { delivered: null, standing: 0 }, { doubt: 7 }, { standing: 1, doubt: 0 }],
    [
      'the removals of both',
      { removals: '[[1,2],[9,10]]', standing: 2, gone: true },
      { removals: '[[5,6]]', standing: 2, gone: true },
      { removals: '[[1,2],[5,6],[9,10]]', standing: 2, gone: true, doubt: null },
    ],
    [
      'what was delivered, where the other form was refused',
      { standing: 0, delivered: null, refusal: REFUSED, refusedRun: 2, everSent: 4 },
      {},
      { standing: 1, refusal: null, delivered: '=', everSent: 5, doubt: null },
    ],
    ['a member, where the other form is gone', { gone: true }, {}, { gone: false, standing: 1, doubt: null }],
    [
      'that values differ',
      { wanted: JSON.stringify([UNICODE, 'Other', null, null]) },
      {},
      { standing: 1, doubt: 0 },
    ],
  ])('makes one entry of two forms of an address, and keeps %s', async (_what, unicode, ascii, expected) => {
    await using folder = await temporaryFolder();
    await using database = await upgraded(folder.path, async (manager) => {
      await writeOld(manager, { email: UNICODE, ...unicode });
      await writeOld(manager, { email: ASCII, ...ascii });
    });
    const entries = await entriesOf(database);
    expect([...entries.keys()]).toEqual([ASCII]);
    expect(entries.get(ASCII)).toMatchObject(expected);
    expect(emailsOf(entries)).toEqual([[ASCII, ASCII]]);
  });

  it('gets new keys for former addresses too', async () => {
    await using folder = await temporaryFolder();
    await using database = await upgraded(folder.path, async (manager) => {
      for (const email of [UNICODE, ASCII, `${KELVIN}ate@example.com`, 'ann@example.com']) {
        await insert(manager, 'former_addresses', {
          ledgerId: 1,
          profileId: '1',
          emailKey: email.toLowerCase(),
          email,
        });
      }
    });
    const former = await database.reader.find(FormerAddress, { order: { emailKey: 'ASC' } });
    expect(former.map(({ emailKey, email }) => [emailKey, email])).toEqual(
      ['ann@example.com', ASCII, `${KELVIN}ate@example.com`].map((email) => [email, email]),
    );
  });

  it('is renewed by pages, whatever their number', async () => {
    await using folder = await temporaryFolder();
    const count = 2_300;
    await using database = await upgraded(folder.path, async (manager) => {
      for (let n = 0; n < count; n += 1) {
        await writeOld(manager, { email: `É${n}@bücher.example` });
        if (n % 2 === 0) await writeOld(manager, { email: `É${n}@xn--bcher-kva.example` });
      }
    });
    const entries = await entriesOf(database);
    expect(entries.size).toBe(count);
    for (const [key, email] of emailsOf(entries)) expect(email).toBe(key);
  });
});
