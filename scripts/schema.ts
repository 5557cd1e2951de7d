import 'reflect-metadata';
import { writeFile } from 'node:fs/promises';
import { resolvers } from '../src/resolvers/resolvers.js';
import { createSchema, describeSchema } from '../src/schema/schema.js';

/** Writes the schema as text, from the project's folder: `npm run schema` after a change of types or resolvers. */
const FILE = 'src/schema/schema.graphql';

await writeFile(FILE, describeSchema(await createSchema(resolvers)));
process.stdout.write(`${FILE} is up to date.\n`);
