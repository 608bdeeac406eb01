import { availableParallelism, cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';

/** One measured figure. A reading without `reach` is a calibration or a peer: it gives the others their scale. */
export interface Reading {
  readonly what: string;
  readonly value: number;
  /** 'records/s', 'ms', 'MB', 'ratio', … */
  readonly unit: string;
  readonly reach?: { readonly atLeast: number } | { readonly atMost: number };
}

export interface BenchContext {
  /** A few seconds, to show that the bench still works; its figures are not worth quoting. */
  readonly short: boolean;
  /** Progress for people, on stderr. */
  readonly say: (line: string) => void;
}

export interface BenchDefinition {
  readonly name: string;
  readonly question: string;
  /** What the figures do not cover. */
  readonly leavesOut: string;
  readonly run: (context: BenchContext) => Promise<readonly Reading[]>;
}

export interface BenchReport {
  readonly name: string;
  readonly question: string;
  readonly leavesOut: string;
  readonly short: boolean;
  readonly date: string;
  readonly machine: string;
  readonly readings: readonly (Reading & { readonly reached?: boolean })[];
}

/** Runs a bench file: `node bench/NAME.ts [--short] [--json]`. Readings go to stdout, progress to stderr. */
export async function bench(definition: BenchDefinition): Promise<void> {
  const { values } = parseArgs({
    options: { short: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  });
  const context: BenchContext = {
    short: values.short,
    say: (line) => void process.stderr.write(`  ${line}\n`),
  };
  const readings = await definition.run(context);
  const report: BenchReport = {
    name: definition.name,
    question: definition.question,
    leavesOut: definition.leavesOut,
    short: values.short,
    date: new Date().toISOString().slice(0, 10),
    machine: machine(),
    readings: readings.map((reading) => ({ ...reading, ...verdict(reading) })),
  };
  process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : render(report));
}

/** Cores, processor, memory and Node: what a reader needs to judge a figure. */
export function machine(): string {
  const gigabytes = Math.round(totalmem() / 1024 ** 3);
  return `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${gigabytes} GB, Node ${process.versions.node}`;
}

function verdict(reading: Reading): { reached?: boolean } {
  if (!reading.reach) return {};
  return {
    reached:
      'atLeast' in reading.reach
        ? reading.value >= reading.reach.atLeast
        : reading.value <= reading.reach.atMost,
  };
}

export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return Number(value.toPrecision(3)).toString();
}

export function formatReach(reading: Reading): string {
  if (!reading.reach) return '';
  return 'atLeast' in reading.reach
    ? `≥ ${formatValue(reading.reach.atLeast)}`
    : `≤ ${formatValue(reading.reach.atMost)}`;
}

function render(report: BenchReport): string {
  const lines = [
    `${report.name}: ${report.question}`,
    `  ${report.machine}${report.short ? ', short run' : ''}`,
  ];
  const width = Math.max(...report.readings.map((reading) => reading.what.length));
  for (const reading of report.readings) {
    const mark = reading.reached === undefined ? '' : reading.reached ? '  reached' : '  SHORT OF IT';
    const reach = reading.reach ? `  (reach ${formatReach(reading)})` : '';
    lines.push(
      `  ${reading.what.padEnd(width)}  ${formatValue(reading.value)} ${reading.unit}${reach}${mark}`,
    );
  }
  return `${lines.join('\n')}\n  leaves out: ${report.leavesOut}\n`;
}

/** The value below which `fraction` of the samples lie. Sorts a copy. */
export function percentile(samples: ArrayLike<number>, fraction: number): number {
  const sorted = Float64Array.from(samples).sort();
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(fraction * sorted.length) - 1))]!;
}

export function median(samples: ArrayLike<number>): number {
  return percentile(samples, 0.5);
}
