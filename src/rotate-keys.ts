import 'reflect-metadata';
import { readConfig } from './config.js';
import { describeError } from './errors.js';
import { rotateKeysOf } from './server/rotation.js';

/** `npm run rotate-keys`: see "Changing the secret key" in the README. Exit code 1: something could not be read. */
try {
  const { resealed, current, unreadable } = await rotateKeysOf(readConfig(), (rows) => {
    process.stdout.write(`${JSON.stringify({ msg: 'looked at', rows })}\n`);
  });
  process.stdout.write(
    `${JSON.stringify({ msg: 'done', resealed, current, unreadable: unreadable.length })}\n`,
  );
  for (const { table, row, column, reason } of unreadable) {
    process.stderr.write(`${table} ${row}, ${column}: ${reason}\n`);
  }
  if (unreadable.length > 0) {
    process.stderr.write(
      'Put the missing key behind the others in SLUICE_SECRET_KEY, or enter these secrets again.\n',
    );
    process.exitCode = 1;
  }
} catch (error: unknown) {
  process.stderr.write(`${describeError(error)}\n`);
  process.exitCode = 1;
}
