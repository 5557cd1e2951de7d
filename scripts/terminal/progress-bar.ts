import { SingleBar } from 'cli-progress';

/** Shows how far something is. */
export interface ProgressBar {
  /** @param total null: nobody knows; it stays so. @param note what there is to say besides. */
  update(done: number, total: number | null, note: string): void;
  /** Leaves the last state standing, on lines of its own. */
  stop(): void;
}

/** Without a terminal, at most one line in this time. */
const LINE_EVERY_MS = 1_000;
const BAR_WIDTH = 32;

/** On a terminal a bar that moves; elsewhere plain lines now and then, which is what a log file wants. */
export function createProgressBar(output: NodeJS.WriteStream, label: string): ProgressBar {
  return output.isTTY ? movingBar(output, label) : plainLines(output, label);
}

function movingBar(stream: NodeJS.WriteStream, label: string): ProgressBar {
  let bar: SingleBar | undefined;
  return {
    update(done, total, note) {
      bar ??= startBar(stream, `  ${label} ${total === null ? '' : '{bar} {percentage} %  '}{note}`);
      // A total of nought would be shown as not a number.
      bar.setTotal(total === null || total === 0 ? 1 : total);
      bar.update(total === 0 ? 1 : done, { note });
    },
    stop() {
      bar?.stop();
    },
  };
}

function startBar(stream: NodeJS.WriteStream, format: string): SingleBar {
  const bar = new SingleBar({
    stream,
    format,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: BAR_WIDTH,
    // Signals are the program's own affair.
    gracefulExit: false,
  });
  bar.start(1, 0, { note: '' });
  return bar;
}

function plainLines(output: NodeJS.WritableStream, label: string): ProgressBar {
  let waiting: string | undefined;
  let lastAt = -Infinity;
  const write = (line: string) => output.write(`  ${label} ${line}\n`);
  return {
    update(done, total, note) {
      const percent = total === 0 ? 100 : Math.floor((done / (total ?? 1)) * 100);
      waiting = total === null ? note : `${String(percent).padStart(3)} %  ${note}`;
      if (performance.now() - lastAt < LINE_EVERY_MS) return;
      write(waiting);
      waiting = undefined;
      lastAt = performance.now();
    },
    stop() {
      if (waiting !== undefined) write(waiting);
      waiting = undefined;
    },
  };
}
