import { formatDuration } from '../../src/kernel/index.ts';
import { renderLabels, type Summary } from './summary.ts';

interface Ready {
  readonly edge: string | null;
  readonly api: string | null;
  readonly kafka: string | null;
  readonly startedInMs: number;
}

const REDRAW_MS = 500;
const PLAIN_LINE_MS = 5000;

/** What the user sees: JSON for programs, a block redrawn in place on a terminal, a line now and then elsewhere. */
export class Screen {
  private readonly json: boolean;
  private readonly inPlace = process.stdout.isTTY === true && process.env.TERM !== 'dumb';
  private drawn = 0;

  constructor(json: boolean) {
    this.json = json;
  }

  begin(ready: Ready): void {
    if (this.json) {
      process.stdout.write(`${JSON.stringify(ready)}\n`);
      return;
    }
    const { edge, api, kafka } = ready;
    const lines = [
      `Millrace is up (${formatDuration(ready.startedInMs)}): three apps score card payments.`,
      '',
      edge === null ? '' : `  apps      ${edge}`,
      api === null ? '' : `  platform  ${api}  (status page, API)`,
      kafka === null ? '' : `  kafka     ${kafka}`,
      '',
      'Try, in another terminal:',
      edge === null
        ? ''
        : `  curl ${edge}/payments -H 'content-type: application/json' \\\n    -d '{"card":"mine","terminal":"corner-shop","amount":250}'`,
      `  npx millrace tail alerts${urlFlag(api)}`,
      `  npx millrace top${urlFlag(api)}`,
      edge === null ? '' : `  curl ${edge}/cases; curl ${edge}/ranking`,
      `  npx millrace show fraud${urlFlag(api)}`,
      '',
      'Ctrl-C stops it; started again on the same folder it goes on where it was.',
      '',
    ];
    process.stdout.write(
      `${lines.filter((line, index) => line !== '' || lines[index - 1] !== '').join('\n')}\n`,
    );
  }

  /** Shows what `render` gives, again and again; the result stops it. */
  draw(render: () => string[]): () => void {
    if (this.json) return () => undefined;
    const show = (): void => {
      const lines = render();
      if (!this.inPlace) {
        process.stdout.write(`${lines.map((line) => line.trim()).join(' | ')}\n`);
        return;
      }
      const up = this.drawn > 0 ? `\x1b[${this.drawn}A` : '';
      process.stdout.write(up + lines.map((line) => `\x1b[2K${fit(line)}\n`).join(''));
      this.drawn = lines.length;
    };
    const timer = setInterval(show, this.inPlace ? REDRAW_MS : PLAIN_LINE_MS);
    return () => {
      clearInterval(timer);
      show();
    };
  }

  end(summary: Summary, folder: string): void {
    if (this.json) {
      process.stdout.write(`${JSON.stringify(summary)}\n`);
      return;
    }
    const count = (value: number): string => value.toLocaleString('en-US');
    const { p50, p99 } = summary.ingestToAlertMs;
    process.stdout.write(
      [
        '',
        `${count(summary.records)} payments scored in ${formatDuration(summary.seconds * 1000)}, ${count(summary.recordsPerSecond)} a second; ${count(summary.lost)} lost.`,
        `${count(summary.alerts)} alerts: ${count(summary.trueAlerts)} were fraud, ${count(summary.falseAlerts)} were not; ${count(summary.missedFrauds)} frauds had none.`,
        p50 === null || p99 === null
          ? ''
          : `From payment to alert: half within ${formatDuration(p50)}, 99 % within ${formatDuration(p99)}.`,
        summary.labels === null ? '' : `Labels, a week later: ${renderLabels(summary.labels)}.`,
        `The data is in ${folder}.`,
        '',
      ].join('\n'),
    );
  }
}

function urlFlag(api: string | null): string {
  return api === null || api.endsWith(':7401') ? '' : ` --url ${api}`;
}

function fit(line: string): string {
  const columns = process.stdout.columns || 80;
  return line.length <= columns ? line : `${line.slice(0, columns - 1)}…`;
}
