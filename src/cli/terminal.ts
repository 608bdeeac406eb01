/** Where a command writes and reads. Data goes to stdout, everything else to stderr. */
export interface Terminal {
  /** Writes data; resolves when the pipe can take more. */
  out(text: string): Promise<void>;
  /** A line for people. */
  note(line: string): void;
  readonly input: NodeJS.ReadStream;
  /** Whether stdout is a terminal whose reader wants colours. */
  readonly colors: boolean;
  /** Columns to fit into: the terminal's, or 80. */
  readonly columns: number;
  /** Whether stdout is a terminal. */
  readonly interactive: boolean;
  /** Fires on the first Ctrl-C or SIGTERM, for commands that asked by reading it. */
  readonly interrupted: AbortSignal;
}

export function processTerminal(): Terminal {
  const { stdout, stderr, stdin, env } = process;
  let interrupted: AbortSignal | undefined;
  // The reader has gone (`| head`): nothing is left to do, and that is no failure.
  stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  stderr.on('error', () => undefined);
  return {
    out: (text) =>
      new Promise((resolve) => {
        if (stdout.write(text)) resolve();
        else stdout.once('drain', resolve);
      }),
    note: (line) => void stderr.write(`${line}\n`),
    input: stdin,
    colors: stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
    columns: stdout.isTTY ? Math.max(40, stdout.columns) : 80,
    interactive: stdout.isTTY === true,
    get interrupted() {
      return (interrupted ??= onInterrupt());
    },
  };
}

function onInterrupt(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort());
  return controller.signal;
}

/** Columns set under their headings; the last one is cut where the terminal ends, the first at `most`. */
export function table(
  headings: readonly string[],
  given: readonly (readonly string[])[],
  columns: number,
  most = Number.POSITIVE_INFINITY,
): string {
  const rows = given.map(([first = '', ...others]) => [cut(first, most), ...others]);
  const widths = headings.map((heading, index) =>
    Math.max(heading.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cut(
      cells
        .map((cell, index) => cell.padEnd(widths[index]!))
        .join('  ')
        .trimEnd(),
      columns,
    );
  return `${[headings.map((heading) => heading.toUpperCase()), ...rows].map(line).join('\n')}\n`;
}

export function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`;
}
