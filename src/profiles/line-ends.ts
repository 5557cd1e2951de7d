const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const QUOTE = 0x22;

/** So many bytes without a line feed tell that a file ends its lines otherwise. */
const LOOKED_AT_BYTES = 64 * 1024;

/**
 * The same bytes, with line feeds where a file ends its lines with carriage returns alone, as Excel for the Mac can write it.
 * It is such a file if its beginning has carriage returns and no line feed, but perhaps inside quotes: Excel writes those
 * between the lines of a cell. CRLF stays what it is. Bytes of UTF-8 stay too, because it uses both for nothing else.
 */
export async function* withLineFeeds(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const beginning: Uint8Array[] = [];
  const ends = new LineEnds();
  let converter: ReturnConverter | undefined;
  let isDecided = false;
  for await (const chunk of body) {
    if (isDecided) {
      yield converter?.convert(chunk) ?? chunk;
      continue;
    }
    beginning.push(chunk);
    ends.look(chunk);
    isDecided = ends.hasLineFeed || ends.bytes >= LOOKED_AT_BYTES;
    if (!isDecided) continue;
    if (ends.areReturns()) converter = new ReturnConverter();
    for (const held of beginning.splice(0)) yield converter?.convert(held) ?? held;
  }
  if (!isDecided && ends.areReturns()) converter = new ReturnConverter();
  for (const held of beginning) yield converter?.convert(held) ?? held;
  if (converter !== undefined) yield converter.end();
}

/** The ends of lines at the beginning of a body. */
class LineEnds {
  bytes = 0;
  /** Outside of quotes. */
  hasLineFeed = false;
  private hasReturn = false;
  private hasFeedInQuotes = false;
  private hasReturnInQuotes = false;
  private isQuoted = false;

  look(chunk: Uint8Array): void {
    this.bytes += chunk.length;
    for (const byte of chunk) {
      if (byte === QUOTE) this.isQuoted = !this.isQuoted;
      else if (byte === LINE_FEED && this.isQuoted) this.hasFeedInQuotes = true;
      else if (byte === CARRIAGE_RETURN && this.isQuoted) this.hasReturnInQuotes = true;
      else if (byte === CARRIAGE_RETURN) this.hasReturn = true;
      else if (byte === LINE_FEED) {
        this.hasLineFeed = true;
        return;
      }
    }
  }

  areReturns(): boolean {
    // Quotes that JSON escapes, or that are missing, turn the inside out: without any line feed that does not matter.
    const hasReturn = this.hasReturn || (this.hasReturnInQuotes && !this.hasFeedInQuotes);
    return hasReturn && !this.hasLineFeed;
  }
}

/** Makes line feeds of carriage returns that have none behind them. */
class ReturnConverter {
  /** The last byte was a carriage return: what it becomes depends on the next. */
  private isHeld = false;

  convert(chunk: Uint8Array): Uint8Array {
    const written = Buffer.allocUnsafe(chunk.length + 1);
    let length = 0;
    for (const byte of chunk) {
      if (this.isHeld) written[length++] = byte === LINE_FEED ? CARRIAGE_RETURN : LINE_FEED;
      this.isHeld = byte === CARRIAGE_RETURN;
      if (!this.isHeld) written[length++] = byte;
    }
    return written.subarray(0, length);
  }

  end(): Uint8Array {
    return this.isHeld ? Uint8Array.of(LINE_FEED) : new Uint8Array();
  }
}
