import 'reflect-metadata';
import { DataSource } from 'typeorm';
import { readConfig } from './src/config.js';
import { dataModel } from './src/server/data-model.js';

/** For TypeORM's own command line (`npx typeorm -d dist/ormconfig.js …`); the server opens its database by itself. */
const { database } = readConfig();
export default new DataSource(
  database.kind === 'sqlite'
    ? { type: 'sqlite', database: database.file, ...dataModel }
    : { type: 'postgres', url: database.url, ...dataModel },
);
