import sqlite3 from 'sqlite3';

/**
 * The SQLite driver for every DataSource. TypeORM switches the driver's long stack traces on, for the whole process: they
 * make an Error for every statement and print its parameters into it, of which a page of profiles is a megabyte. That is
 * a fifth of the time of a run.
 */
export const quietSqlite = { ...sqlite3, verbose: () => sqlite3 };
