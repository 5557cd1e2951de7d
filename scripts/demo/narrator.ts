import { styleText } from 'node:util';
import { createProgressBar, type ProgressBar } from '../terminal/progress-bar.js';

/** Tells what is being done, for people. */
export interface Narrator {
  title(text: string): void;
  step(text: string): void;
  /** Something that belongs to the step before. */
  note(text: string): void;
  progressBar(label: string): ProgressBar;
}

const NOTE_WIDTH = 100;

export function createNarrator(output: NodeJS.WriteStream): Narrator {
  const write = (text: string) => output.write(`${text}\n`);
  return {
    title: (text) => write(`\n${styleText('bold', text, { stream: output })}\n`),
    step: (text) => write(`  ${styleText('green', '✔', { stream: output })} ${text}`),
    note: (text) => {
      for (const line of wrap(text)) write(styleText('dim', `      ${line}`, { stream: output }));
    },
    progressBar: (label) => createProgressBar(output, label),
  };
}

/** For programs, which want the result alone. */
export const SILENT_NARRATOR: Narrator = {
  title: () => undefined,
  step: () => undefined,
  note: () => undefined,
  progressBar: () => ({ update: () => undefined, stop: () => undefined }),
};

function wrap(text: string): string[] {
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && line.length + word.length >= NOTE_WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}
