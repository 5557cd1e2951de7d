const LINE_FEED = 0x0a;

/**
 * The lines of a stream, without their line feeds. Cut at bytes: UTF-8 uses that one for nothing else, whereas readers of
 * text also cut at characters that JSON allows within a line.
 */
export async function* linesOf(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let open: Buffer[] = [];
  for await (const chunk of bytes) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
      yield Buffer.concat([...open, chunk.subarray(from, end)]);
      open = [];
      from = end + 1;
    }
    open.push(chunk.subarray(from));
  }
  yield Buffer.concat(open);
}
