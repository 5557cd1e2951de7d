import { isUtf8 } from 'node:buffer';
import { BadInputError } from '../errors.js';
import { BrokenBodyError } from './broken-body-error.js';

/** Some whole lines of a file, as text. Each ends with a line feed, also the last of a file that has none there. */
export interface TextBlock {
  readonly text: string;
  /** Some byte is not UTF-8 (U+FFFD stands in its place) or is NUL: the lines that have it cannot be taken. */
  readonly suspect: boolean;
  /** The body ended without a line feed: its last line may not be whole. */
  readonly isCutOff: boolean;
}

/** A line, and a record of several lines, must fit: 200 values of 10,000 characters, of four bytes at worst. */
export const MAX_RECORD_BYTES = 8 * 1024 * 1024;

const LINE_FEED = 0x0a;

/**
 * Cuts a body into blocks of whole lines. Cutting bytes at line feeds is safe, because UTF-8 uses that byte for
 * nothing else; it is also what lets a body that breaks off keep its complete lines and drop the torn one.
 * @throws {BadInputError} for a body that is no UTF-8 text from its first bytes on, or is empty.
 * @throws {BrokenBodyError} for a line that never ends.
 */
export async function* textBlocks(body: AsyncIterable<Uint8Array>): AsyncGenerator<TextBlock> {
  const open = new OpenLine();
  let blocks = 0;
  for await (const chunk of body) {
    const cut = chunk.lastIndexOf(LINE_FEED) + 1;
    if (cut > 0) {
      const bytes = open.take(chunk.subarray(0, cut));
      yield readBlock(blocks === 0 ? checkBeginning(bytes) : bytes);
      blocks += 1;
    }
    open.add(chunk.subarray(cut));
    if (open.length > MAX_RECORD_BYTES) {
      if (blocks === 0) checkBeginning(open.take());
      throw new BrokenBodyError('A line is longer than 8 MB.', 'Check that the lines end with LF or CRLF.');
    }
  }
  if (blocks === 0) yield readBlock(checkBeginning(open.take()));
  else if (open.length > 0) yield readBlock(open.take());
}

/** The beginning of a line whose end has not come yet. */
class OpenLine {
  private parts: Uint8Array[] = [];
  length = 0;

  add(bytes: Uint8Array): void {
    this.parts.push(bytes);
    this.length += bytes.length;
  }

  /** Everything so far and `end`; what comes next begins a new line. */
  take(end: Uint8Array = new Uint8Array()): Uint8Array {
    const bytes = Buffer.concat([...this.parts, end]);
    this.parts = [];
    this.length = 0;
    return bytes;
  }
}

function readBlock(bytes: Uint8Array): TextBlock {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  const suspect = !isUtf8(bytes) || text.includes('\0');
  const isCutOff = !text.endsWith('\n');
  return { text: isCutOff ? `${text}\n` : text, suspect, isCutOff };
}

/** Recognises what is often sent by mistake, and drops byte order marks of UTF-8: some programs put one in front of another. */
function checkBeginning(bytes: Uint8Array): Uint8Array {
  let from = 0;
  const starts = (...marks: number[]) => marks.every((mark, index) => bytes[from + index] === mark);
  if (bytes.length === 0) {
    throw new BadInputError(
      'body',
      'The body is empty.',
      'Send a file with at least a header row or a line.',
    );
  }
  if (starts(0x1f, 0x8b)) {
    throw new BadInputError(
      'body',
      'The body is compressed with gzip, but the request does not say so.',
      'Send the header Content-Encoding: gzip, or the file as it was before.',
    );
  }
  if (starts(0xff, 0xfe) || starts(0xfe, 0xff)) {
    throw new BadInputError('body', 'The body is UTF-16 text.', 'Save the file as UTF-8 and send it again.');
  }
  // Of the first line alone: how much comes with it is the network's choice, and must not decide what becomes of a line.
  const lineFeed = bytes.indexOf(LINE_FEED);
  if (bytes.subarray(0, lineFeed < 0 ? bytes.length : lineFeed).includes(0)) {
    throw new BadInputError(
      'body',
      'The body is not UTF-8 text: its first line has NUL bytes, as UTF-16 text and spreadsheet files do.',
      'Save the file as CSV or NDJSON in UTF-8 and send it again.',
    );
  }
  while (starts(0xef, 0xbb, 0xbf)) from += 3;
  return bytes.subarray(from);
}
