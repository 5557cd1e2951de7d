import { MIMEType } from 'node:util';
import type { Request, RequestHandler } from 'express';
import { NO_SUBJECT, record, type SignedInActor } from '../audit/record.js';
import { BadInputError, describeError, SluiceError } from '../errors.js';
import { CsvRecords } from '../profiles/csv-records.js';
import { importProfiles, type ImportOptions, type ImportServices } from '../profiles/import.js';
import { IncompleteImportError, type ImportReport } from '../profiles/import-report.js';
import { NOTES_LANE } from '../lanes.js';
import { answerFailure, type FailureAnswer } from './error-format.js';
import type { Requests } from './requests.js';
import { cutAfterAnswer, shutOutSignal } from './shut-out.js';

const PARAMETERS = ['id', 'segment', 'mode', 'idAttribute', 'columns', 'short'];
const FORMATS = new Map<string, ImportOptions['format']>([
  ['text/csv', 'csv'],
  ['application/x-ndjson', 'ndjson'],
]);
/** What is wrong with these is the kind of body: status 415. */
const KIND_OF_BODY = ['content-type', 'content-encoding'];

/**
 * `PUT /profiles?id=COLUMN`, with the parameters of `PARAMETERS`: imports the body and answers an ImportReport. Failures
 * answer `{errors: [{message, extensions: {code, remedy, field, report}}]}` like everywhere; the report says what was
 * stored before the body broke off. Whoever gets here has been let in by the handler in front.
 */
export function importRoute(shared: ImportServices, requests: Requests): RequestHandler {
  return async (request, response) => {
    const opened = requests.of(request);
    const services = { ...shared, logger: opened.logger };
    const actor = response.locals.actor as SignedInActor;
    const shutOut = shutOutSignal(response);
    try {
      const options = readOptions(request);
      // Should the process be killed in the middle, it is known nevertheless who changed what was stored until then.
      await auditImport(services, actor, 'STARTED', { segment: options.segmentName, mode: options.mode });
      const report = await importProfiles(services, options, request, shutOut);
      const { errors, ...figures } = report;
      await auditImport(services, actor, 'OK', { segment: options.segmentName, ...figures });
      services.logger.info(figures, 'import finished');
      response.json({ ...figures, errors });
    } catch (error: unknown) {
      const report = error instanceof IncompleteImportError ? error.report : undefined;
      const result = error instanceof SluiceError ? error.code : 'INTERNAL_SERVER_ERROR';
      await auditImport(services, actor, result, { ...report, errors: undefined });
      if (shutOut?.aborted) cutAfterAnswer(request, response);
      // Everything else is a fault of ours, or a sender who is shut out: express hands it to the server's last handler.
      if (!(error instanceof BadInputError)) throw error;
      // A body that came too slowly was answered before it was broken off.
      if (!response.headersSent) answerFailure(response, failureOf(error, report), opened);
      // What is still under way is thrown away: a sender that is stuck in writing would not read the answer.
      request.resume();
      // The message stays out of the log: it quotes the file, and a file without a header row begins with a person.
      const figures = report && { ...report, errors: undefined };
      services.logger.warn({ field: error.field, ...figures }, 'import refused or incomplete');
    }
  };
}

/** The figures, and nothing of the file. */
export async function auditImport(
  { database, clock, logger }: ImportServices,
  actor: SignedInActor,
  result: string,
  detail: Record<string, unknown> = {},
): Promise<void> {
  const entry = {
    at: new Date(clock.now()),
    actor,
    action: 'importProfiles',
    subjectType: 'Profile',
    subjectId: NO_SUBJECT,
    result,
    detail,
  };
  try {
    await database.transact(({ manager }) => record(manager, entry), NOTES_LANE);
  } catch (error: unknown) {
    // Where nothing can be written, nothing can be imported; but what was stored is not to be called a failure.
    if (result === 'STARTED') throw error;
    logger.error({ why: describeError(error) }, 'the end of an import was not written down');
  }
}

function failureOf(error: BadInputError, report: ImportReport | undefined): FailureAnswer {
  const { code, message, remedy, field } = error;
  const extensions = { code, remedy, field, report };
  const status = KIND_OF_BODY.includes(field ?? '') ? 415 : 400;
  return { status, headers: {}, body: { errors: [{ message, extensions }] } };
}

function readOptions(request: Request): ImportOptions {
  for (const name of Object.keys(request.query)) {
    if (!PARAMETERS.includes(name)) {
      throw new BadInputError(
        name,
        `There is no parameter "${name}".`,
        `The parameters are ${PARAMETERS.slice(0, -1).join(', ')} and ${PARAMETERS.at(-1) ?? ''}.`,
      );
    }
  }
  const idColumn = readParameter(request, 'id');
  if (idColumn === undefined) {
    throw new BadInputError(
      'id',
      'The parameter id is missing.',
      'Name the column that holds the ids: ?id=COLUMN.',
    );
  }
  const mode = readParameter(request, 'mode') ?? 'merge';
  if (mode !== 'merge' && mode !== 'replace') {
    throw new BadInputError('mode', `There is no mode "${mode}".`, 'Use mode=merge or mode=replace.');
  }
  const short = readParameter(request, 'short') ?? 'limit';
  if (short !== 'limit' && short !== 'pad') {
    throw new BadInputError(
      'short',
      `There is no way "${short}" to take short rows.`,
      'Use short=pad, or leave it out.',
    );
  }
  return {
    idColumn,
    idAttribute: readFlag(request, 'idAttribute'),
    columns: readColumns(readParameter(request, 'columns')),
    shortRows: short,
    segmentName: readParameter(request, 'segment'),
    mode,
    format: readFormat(request.headers['content-type']),
    gzip: readGzip(request.headers['content-encoding']),
  };
}

function readParameter(request: Request, name: string): string | undefined {
  const value = request.query[name];
  if (value === undefined || typeof value === 'string') return value;
  throw new BadInputError(name, `The parameter ${name} is given more than once.`, 'Give it once.');
}

function readFlag(request: Request, name: string): boolean {
  const value = readParameter(request, name) ?? 'false';
  if (value === 'true' || value === 'false') return value === 'true';
  throw new BadInputError(name, `The parameter ${name} is "${value}".`, `Use ${name}=true or ${name}=false.`);
}

/** The names of columns, as a line of CSV. */
function readColumns(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const [record, ...others] = new CsvRecords().read(`${text}\n`);
  if (record?.problem === undefined && record !== undefined && others.length === 0) return record.fields;
  throw new BadInputError(
    'columns',
    'The names of columns cannot be read.',
    'Write them as a line of CSV: columns=email,first_name; a name with a comma in quotes.',
  );
}

function readFormat(header: string | undefined): ImportOptions['format'] {
  const type = parseMimeType(header ?? '');
  const format = FORMATS.get(type?.essence ?? '');
  if (type === undefined || format === undefined) {
    throw new BadInputError(
      'content-type',
      header === undefined
        ? 'The request has no content type.'
        : `The content type ${header} is not understood.`,
      'Send text/csv with a header row, or application/x-ndjson with one object a line.',
    );
  }
  const charset = type.params.get('charset') ?? 'utf-8';
  if (!['utf-8', 'utf8'].includes(charset.toLowerCase())) {
    throw new BadInputError(
      'content-type',
      `The charset ${charset} is not understood.`,
      'Convert the file to UTF-8 and send it with charset=utf-8.',
    );
  }
  return format;
}

function parseMimeType(text: string): MIMEType | undefined {
  try {
    return new MIMEType(text);
  } catch {
    return undefined;
  }
}

function readGzip(header: string | undefined): boolean {
  const encoding = (header ?? 'identity').trim().toLowerCase();
  if (encoding === 'gzip' || encoding === 'x-gzip') return true;
  if (encoding === 'identity') return false;
  throw new BadInputError(
    'content-encoding',
    `The content encoding ${encoding} is not understood.`,
    'Send the body as it is, or compressed with gzip.',
  );
}
