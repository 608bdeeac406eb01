import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { scratchFolder } from './lib/calibration.ts';
import { bench, median, type Reading } from './lib/harness.ts';
import { type LoadPlan, type LoadResult, runLoad, startBareServer, startPlatform } from './lib/http-load.ts';
import { treesModel, uploadModel } from './lib/onnx-models.ts';

const CLIENTS = 64;
const ROUNDS = 3;
const COLUMNS = 30;
const ROW = Array.from({ length: COLUMNS }, (_, index) => ((index * 7) % 10) / 10);

await bench({
  name: 'predict-http',
  question: 'How many JSON predictions does HTTP bring, 64 clients, a row each, from 100 trees of depth 6?',
  leavesOut: 'networks, TLS, tokens, models of other kinds and sizes; client and server share the cores',
  async run({ short, say }) {
    using scratch = scratchFolder();
    const plan = (port: number, path: string): LoadPlan => ({
      port,
      connections: CLIENTS,
      path,
      contentType: 'application/json',
      bodyBase64: Buffer.from(JSON.stringify([ROW])).toString('base64'),
      warmupMs: short ? 500 : 3000,
      durationMs: short ? 1500 : 8000,
    });
    const model = treesModel(100, COLUMNS);
    say('bare node:http');
    const before = await bare(plan);
    await using platform = await startPlatform(join(scratch.path, 'data'));
    await uploadModel(platform.api, 'batched', model);
    await uploadModel(platform.api, 'alone', model, { batch: { size: 1, waitMs: 0 } });
    const [batched, alone]: [LoadResult[], LoadResult[]] = [[], []];
    // By turns: what else the machine does changes more from minute to minute than the two differ.
    for (let round = 1; round <= ROUNDS; round++) {
      say(`millrace, batched, and a run for each request (${round} of ${ROUNDS})`);
      batched.push(checked(await runLoad(plan(platform.port, '/models/batched/predict'))));
      alone.push(checked(await runLoad(plan(platform.port, '/models/alone/predict'))));
    }
    const rate = median(batched.map(rateOf));
    const p99 = (results: readonly LoadResult[]): number => median(results.map(({ p99Ms }) => p99Ms));
    say('bare node:http again');
    const bareRate = Math.max(before, await bare(plan));
    const path = join(scratch.path, 'trees.onnx');
    writeFileSync(path, model);
    const peer = await peerRate(path, plan, say);
    return [
      { what: 'calibration: bare node:http, the same clients', value: bareRate, unit: 'requests/s' },
      { what: 'predictions, batched', value: rate, unit: 'requests/s' },
      {
        what: 'of bare node:http',
        value: rate / bareRate,
        unit: 'ratio',
        reach: { atLeast: 0.5 },
      },
      { what: 'p99, batched', value: p99(batched), unit: 'ms' },
      { what: 'p99, a run for each request', value: p99(alone), unit: 'ms' },
      {
        what: 'p99, batched to each',
        value: p99(batched) / p99(alone),
        unit: 'ratio',
        reach: { atMost: 1 },
      },
      ...peer.flatMap((peerRate): Reading[] => [
        { what: 'peer: FastAPI and onnxruntime', value: peerRate, unit: 'requests/s' },
        { what: 'times the peer', value: rate / peerRate, unit: 'ratio', reach: { atLeast: 10 } },
      ]),
    ];
  },
});

function rateOf({ requests, seconds }: LoadResult): number {
  return requests / seconds;
}

function checked(result: LoadResult): LoadResult {
  if (result.failures > 0 || result.throttled > 0) throw new Error(`${result.failures} requests failed.`);
  return result;
}

async function bare(plan: (port: number, path: string) => LoadPlan): Promise<number> {
  await using server = await startBareServer();
  return rateOf(await runLoad(plan(server.port, '/')));
}

/** One rate, or none where `PYTHON` (else `python3`) has not the packages. */
async function peerRate(
  model: string,
  plan: (port: number, path: string) => LoadPlan,
  say: (line: string) => void,
): Promise<number[]> {
  const python = process.env.PYTHON ?? 'python3';
  const probe = spawnSync(python, ['-c', 'import fastapi, uvicorn, onnxruntime'], { stdio: 'ignore' });
  if (probe.status !== 0) {
    say(`no peer: ${python} has not fastapi, uvicorn and onnxruntime (PYTHON names another)`);
    return [];
  }
  say('FastAPI and onnxruntime');
  const port = await freePort();
  const script = new URL('./lib/fastapi-peer.py', import.meta.url).pathname;
  const child = spawn(python, [script, model, String(port)], { stdio: 'ignore' });
  try {
    await answering(child, port);
    return [rateOf(checked(await runLoad(plan(port, '/predict'))))];
  } finally {
    child.kill();
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

async function answering(child: ChildProcess, port: number): Promise<void> {
  const body = JSON.stringify([ROW]);
  for (let attempt = 0; attempt < 200 && child.exitCode === null; attempt++) {
    const headers = { 'content-type': 'application/json' };
    const found = await fetch(`http://127.0.0.1:${port}/predict`, { method: 'POST', body, headers }).catch(
      () => undefined,
    );
    if (found?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('FastAPI did not answer.');
}
