import 'reflect-metadata';
import { existsSync, readFileSync } from 'node:fs';
import { buildSchema } from 'graphql';
import { resolvers } from '../src/resolvers/resolvers.js';
import { createSchema, describeSchema } from '../src/schema/schema.js';
import { lineage, namesOf, type SchemaEntry } from './helpers/schema-names.js';

const CONTRACT = 'test/contract.graphql';
/** Where the contract's original lies in the project's own workspace. */
const ORIGINAL = '../shared/contract.graphql';
const LATER = 'test/contract-later.txt';

/**
 * Where the contract promises what would show viewers a value of a profile: an id may be an address. See ADR 116.
 */
const NULL_FOR_VIEWERS = new Map([['Rejection.profileId', 'ID']]);

describe('the schema', () => {
  const promised = namesOf(buildSchema(readFileSync(CONTRACT, 'utf8')));
  const later = new Set(
    readFileSync(LATER, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#')),
  );
  let text: string;
  let names: Map<string, SchemaEntry>;

  beforeAll(async () => {
    const schema = await createSchema(resolvers);
    text = describeSchema(schema);
    names = namesOf(schema);
  });

  it('is the one in src/schema/schema.graphql (if not: npm run schema)', () => {
    expect(readFileSync('src/schema/schema.graphql', 'utf8')).toBe(text);
  });

  it('contains the contract, with its types, nullability and defaults, less what comes later', () => {
    const broken = [...promised]
      .filter(([name]) => !lineage(name).some((part) => later.has(part)))
      .filter(
        ([name, { signature }]) => names.get(name)?.signature !== (NULL_FOR_VIEWERS.get(name) ?? signature),
      )
      .map(
        ([name, { signature }]) =>
          `${name}: ${signature} expected, ${names.get(name)?.signature ?? 'nothing'} found`,
      );
    expect(broken).toEqual([]);
  });

  it('asks for nothing more than the contract does where the contract speaks', () => {
    const demanded = [...names]
      .filter(([name, { required }]) => required && !promised.has(name))
      .map(([name]) => name)
      .filter((name) => promised.has(lineage(name)[name.includes('(') ? 1 : 2] ?? ''));
    expect(demanded).toEqual([]);
  });

  it('has nothing yet of what is listed for later', () => {
    expect([...later].filter((name) => names.has(name))).toEqual([]);
  });

  it('lists for later only what the contract names', () => {
    expect([...later].filter((name) => !promised.has(name))).toEqual([]);
  });

  it('describes every type, field, argument, value and input field', () => {
    const silent = [...names].filter(([, { description }]) => !description?.trim()).map(([name]) => name);
    expect(silent).toEqual([]);
  });

  if (existsSync(ORIGINAL)) {
    it('is held against a true copy of the contract', () => {
      expect(readFileSync(CONTRACT, 'utf8')).toBe(readFileSync(ORIGINAL, 'utf8'));
    });
  }
});
