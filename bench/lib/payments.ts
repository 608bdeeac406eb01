import { spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { type LoopResult, scoreInOneLoop } from '../../examples/payments/loop.ts';
import type { Summary } from '../../examples/payments/summary.ts';
import {
  generated,
  recorded,
  type Source,
  type SourcePayment,
} from '../../examples/payments/traffic/source.ts';

const ROOT = new URL('../../', import.meta.url);

/** What `npm start` gives to Node: its flags and the program. npm itself is left out. */
export function startArguments(): readonly string[] {
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as {
    scripts: { start: string };
  };
  const [, ...given] = scripts.start.split(' ');
  return given.map((each) => (each.startsWith('-') ? each : new URL(each, ROOT).pathname));
}

export interface PaymentsRun {
  readonly summary: Summary;
  /** From the start of the process. */
  readonly readyMs: number;
  /** Resident memory of the platform's process while payments flow, every 100 ms, in bytes. */
  readonly residentBytes: readonly number[];
}

/** Runs `npm start` as a user would, with `--json`, to its end. Throws when it fails or loses a payment. */
export async function runPayments(data: string, args: readonly string[]): Promise<PaymentsRun> {
  const begin = performance.now();
  const ports = ['--edge-port', '0', '--api-port', '0', '--kafka-port', '0'];
  const child = spawn(process.execPath, [...startArguments(), '--data', data, '--json', ...ports, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: environment(),
  });
  const residentBytes: number[] = [];
  let sampling: NodeJS.Timeout | undefined;
  let readyMs = Number.NaN;
  let last = '';
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      last = line;
      if (!line.includes('"ready"')) continue;
      readyMs = performance.now() - begin;
      sampling = setInterval(() => residentBytes.push(residentOf(child.pid!)), 100);
    }
  } finally {
    clearInterval(sampling);
  }
  if (!last.includes('"records"')) throw new Error(`npm start ended without a summary: ${last}`);
  const summary = JSON.parse(last) as Summary;
  if (summary.lost > 0) throw new Error(`${summary.lost} payments were lost.`);
  return { summary, readyMs, residentBytes: residentBytes.filter((bytes) => bytes > 0) };
}

/** Without what is meant for the bench: the platform refuses variables of its name that it does not know. */
function environment(): NodeJS.ProcessEnv {
  const { MILLRACE_BENCH_PAYMENTS: _, ...rest } = process.env;
  return rest;
}

/** Linux tells the resident set of a process in /proc; 0 when it has ended. */
function residentOf(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Recorded payments (`MILLRACE_BENCH_PAYMENTS` names the file), or made-up ones where there are none. */
export function paymentsSource(): { readonly name: string; readonly source: Source } {
  const path = process.env.MILLRACE_BENCH_PAYMENTS;
  return path === undefined
    ? { name: 'made-up payments', source: generated({ seed: 1 }, 2000) }
    : { name: 'recorded payments', source: recorded(path) };
}

/** Up to `rows` payments, in memory, and in a CSV file for the program to replay. */
export async function takePayments(source: Source, rows: number, path: string): Promise<SourcePayment[]> {
  const payments: SourcePayment[] = [];
  for await (const chunk of source) {
    for (const payment of chunk) if (payments.length < rows) payments.push(payment);
    if (payments.length >= rows) break;
  }
  await pipeline(linesOf(payments), createWriteStream(path));
  return payments;
}

function* linesOf(payments: readonly SourcePayment[]): Iterable<string> {
  let text = 'transaction_id,time,customer_id,terminal_id,amount,fraud\n';
  for (const { id, at, card, terminal, amount, fraud } of payments) {
    text += `${id},${at},${card},${terminal},${amount},${fraud ? 1 : 0}\n`;
    if (text.length < 64 * 1024) continue;
    yield text;
    text = '';
  }
  yield text;
}

/** The same features and rules over an array, in one loop and one thread, with nothing kept: what the platform costs on top. */
export function timeLoop(payments: readonly SourcePayment[]): { result: LoopResult; perSecond: number } {
  const begin = performance.now();
  const result = scoreInOneLoop(payments);
  return { result, perSecond: (payments.length * 1000) / (performance.now() - begin) };
}
