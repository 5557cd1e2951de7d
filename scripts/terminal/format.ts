/** `12345` → `12,345` */
export function figure(value: number): string {
  return value.toLocaleString('en');
}

/** `1 profile`, `2 profiles`. */
export function counted(value: number, noun: string): string {
  return `${figure(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** `840 ms`, `3.4 s`, `2 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  return `${figure(Math.floor(seconds / 60))} min ${seconds % 60} s`;
}

/** `512 bytes`, `3.4 MB`. */
export function size(bytes: number): string {
  if (bytes < 1_000) return `${bytes} bytes`;
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

export interface TableRow {
  readonly label: string;
  readonly value: string;
  readonly note?: string;
}

/** Labels to the left, values to the right, notes behind. */
export function table(rows: readonly TableRow[]): string {
  const widest = (cells: string[]) => Math.max(0, ...cells.map((cell) => cell.length));
  const labels = widest(rows.map(({ label }) => label));
  const values = widest(rows.map(({ value }) => value));
  return rows
    .map(({ label, value, note = '' }) =>
      `    ${label.padEnd(labels)}  ${value.padStart(values)}  ${note}`.trimEnd(),
    )
    .join('\n');
}
