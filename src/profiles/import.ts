import type { Readable } from 'node:stream';
import type { Clock } from '../clock.js';
import { BadInputError, describeError } from '../errors.js';
import type { Logger } from '../logger.js';
import { parseName, trimAscii } from '../names.js';
import { openBody } from './body.js';
import { BrokenBodyError } from './broken-body-error.js';
import { csvRowReader, type ShortRows } from './csv-rows.js';
import {
  beginGeneration,
  keepAlive,
  removeGeneration,
  removeSupersededGenerations,
  type GenerationServices,
} from './generations.js';
import { IncompleteImportError, type ImportReport } from './import-report.js';
import { ImportWriter } from './import-writer.js';
import { withLineFeeds } from './line-ends.js';
import type { ImportMode } from './merge.js';
import { ndjsonRowReader } from './ndjson-rows.js';
import { problemOfAttributeName, quote } from './rules.js';
import { findSegmentNamed, refuseToFillDynamic } from './segments.js';
import type { FillingSegment } from './store-batch.js';
import { swapGeneration } from './swap.js';
import { textBlocks } from './text-blocks.js';

export interface ImportServices extends GenerationServices {
  readonly clock: Clock;
  readonly logger: Logger;
  /** On a disk that has room for people's data; where rows are sorted. */
  readonly scratchDirectory: string;
}

export interface ImportOptions {
  /** The column, or key, that holds the profile's id. */
  readonly idColumn: string;
  /** Whether the id is also an attribute, under the name of its column. */
  readonly idAttribute: boolean;
  /** The columns, or keys, to read besides the id; undefined: all. */
  readonly columns: readonly string[] | undefined;
  /** What becomes of CSV rows with fewer fields than the header row names. */
  readonly shortRows: ShortRows;
  /** The static segment that is to hold exactly the profiles of this file. */
  readonly segmentName?: string | undefined;
  readonly mode: ImportMode;
  readonly format: 'csv' | 'ndjson';
  readonly gzip: boolean;
}

/**
 * Reads profiles from a file of any size and stores them batch by batch; no import deletes a profile. A line that
 * cannot be taken is reported and costs only itself; in the segment, the profile that it names stays what it was.
 * @param signal ends the import with its reason: nothing more is stored, and the segment is as it was.
 * @throws {BadInputError} for options, a header row or a file that cannot be used: nothing was stored.
 * @throws {IncompleteImportError} when the body breaks off: the complete lines are stored, the segment is as it was.
 */
export async function importProfiles(
  services: ImportServices,
  options: ImportOptions,
  body: Readable,
  signal?: AbortSignal,
): Promise<ImportReport> {
  const idColumn = trimAscii(options.idColumn);
  if (idColumn === '') {
    throw new BadInputError(
      'id',
      'The name of the id column is empty.',
      'Name the column that holds the ids.',
    );
  }
  const nameProblem = options.idAttribute ? problemOfAttributeName(idColumn) : undefined;
  if (nameProblem !== undefined) {
    throw new BadInputError(
      'idAttribute',
      `The id cannot be an attribute under the name ${quote(idColumn)}: ${nameProblem}.`,
      'Give the column that holds the ids another name, or leave out idAttribute.',
    );
  }
  const columns = options.columns?.map(trimAscii);
  const readerOptions = { ...options, idColumn, columns };
  const reader = options.format === 'csv' ? csvRowReader(readerOptions) : ndjsonRowReader(readerOptions);
  const blocks = textBlocks(withLineFeeds(openBody(body, options.gzip, signal)));

  const storeAll = async (writer: ImportWriter): Promise<void> => {
    let broken: BrokenBodyError | undefined;
    try {
      for await (const block of blocks) await writer.add(reader.read(block));
      await writer.add(reader.last());
    } catch (error: unknown) {
      if (!(error instanceof BrokenBodyError)) {
        await writer.settle();
        throw error;
      }
      broken = error;
    }
    await writer.finish();
    if (broken !== undefined) throw new IncompleteImportError(broken, writer.report(0));
  };

  if (options.segmentName === undefined) {
    await using writer = writerFor(services, options.mode, { signal });
    await storeAll(writer);
    return writer.report(0);
  }
  const name = parseName('segment', options.segmentName);
  return importSegment(services, { name, mode: options.mode, signal }, storeAll);
}

async function importSegment(
  services: ImportServices,
  { name, mode, signal }: { name: string; mode: ImportMode; signal: AbortSignal | undefined },
  storeAll: (writer: ImportWriter) => Promise<void>,
): Promise<ImportReport> {
  refuseToFillDynamic(await findSegmentNamed(services, name));
  const segment = { name, generation: await beginGeneration(services) };
  const filled = new AbortController();
  void keepAlive(services, segment.generation, filled.signal);
  await using writer = writerFor(services, mode, { segment, signal });
  let removed: number;
  try {
    await storeAll(writer);
    refuseToEmpty(writer);
    // Somebody whose line cannot be read has not left.
    const keepsMembers = writer.unreadableIds > 0;
    removed = await swapGeneration(services, segment, { keepsMembers, signal });
  } catch (error: unknown) {
    await tidyUp(services, () => removeGeneration(services.database, segment.generation));
    throw error;
  } finally {
    filled.abort(new Error('The segment is filled, or never will be.'));
  }
  await tidyUp(services, () => removeSupersededGenerations(services));
  return writer.report(removed, warningsOf(writer, name, removed));
}

/** What a person should know of an import into a segment besides its counts. */
function warningsOf(writer: ImportWriter, segment: string, removed: number): string[] {
  const warnings: string[] = [];
  if (writer.unreadableIds > 0) {
    warnings.push(
      `${counted(writer.unreadableIds, 'line')} cannot be matched with a profile, because the id cannot be read. Nobody was removed from the segment ${quote(segment)}, because these lines may be about its members. Correct them and send the file again.`,
    );
  }
  if (writer.report(removed).received === 0 && removed > 0) {
    warnings.push(
      `The file has no lines with data, so the segment ${quote(segment)} is empty now: ${counted(removed, 'profile')} left it.`,
    );
  }
  return warnings;
}

function counted(count: number, what: string): string {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;
}

function writerFor(
  { database, scratchDirectory }: ImportServices,
  mode: ImportMode,
  { segment, signal }: { segment?: FillingSegment; signal: AbortSignal | undefined },
): ImportWriter {
  return new ImportWriter(database, { mode, segment, scratchDirectory, signal });
}

/** What became of the import is decided already. What stays behind goes after the next one, or at the next start. */
async function tidyUp({ logger }: ImportServices, remove: () => Promise<void>): Promise<void> {
  try {
    await remove();
  } catch (error: unknown) {
    logger.warn({ reason: describeError(error) }, 'a generation of a segment could not be removed yet');
  }
}

/** A misspelt id key must not turn everybody out of the segment. */
function refuseToEmpty(writer: ImportWriter): void {
  const report = writer.report(0);
  if (report.received === 0 || writer.sawAnId) return;
  throw new IncompleteImportError(
    new BrokenBodyError(
      `No line has an id that can be read: ${report.errors[0]?.message ?? ''}.`,
      'Check the name of the id column in ?id=, and send the file again.',
    ),
    report,
  );
}
