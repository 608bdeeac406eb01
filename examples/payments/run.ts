import { existsSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { BuiltApp } from '../../src/build/index.ts';
import { createPlatform, loadConfig, onLog, type Platform } from '../../src/main.ts';
import { Progress } from './progress.ts';
import { retrainOnce } from './retrain.ts';
import { Screen } from './screen.ts';
import { renderLive, Scoreboard, type Summary } from './summary.ts';
import { type FeedState, feed } from './traffic/feed.ts';
import type { TrafficOptions } from './traffic/generator.ts';
import { generated, recorded, type Source } from './traffic/source.ts';

export interface RunOptions {
  readonly replay: string | undefined;
  readonly rate: number | 'max' | 'recorded';
  /** Until Ctrl-C, or the end of the recording, when undefined. */
  readonly durationMs: number | undefined;
  readonly seed: number;
  /** Day from which on made-up payments are of twice the amount. */
  readonly inflateFrom: number | undefined;
  /** Trains the model anew once there are enough labels. */
  readonly retrain: boolean;
  readonly json: boolean;
  /** On their way from the build. */
  readonly apps: Promise<readonly BuiltApp[]>;
  /** Of the platform's configuration. */
  readonly flags: { readonly [flag: string]: unknown };
}

/** Runs until the time, the recording or the user's patience is over; resolves to the exit code. */
export async function runPayments(options: RunOptions): Promise<number> {
  if (options.replay !== undefined && !existsSync(options.replay)) {
    throw new Error(`There is no file ${options.replay}. Name a recording with --replay.`);
  }
  const config = await loadConfig({ flags: options.flags, env: process.env, folder: process.cwd() });
  const stopLog = onLog((line) => process.stderr.write(`${line}\n`));
  const platform = createPlatform(config, { fallbackPorts: true });
  const interrupted = interruption();
  await platform.start();
  try {
    // What runs already in this version is left as it is.
    await platform.delivery.deployTogether(await options.apps, 'npm start');
    await checkSource(platform, options);
    const ready = { ready: true, ...platform.addresses, startedInMs: Math.round(performance.now()) };
    const screen = new Screen(options.json);
    screen.begin(ready);
    const summary = await traffic(platform, options, interrupted, screen);
    screen.end(summary, config.platform.data);
    return summary.lost === 0 ? 0 : 1;
  } finally {
    await platform.stop();
    stopLog();
  }
}

async function traffic(
  platform: Platform,
  options: RunOptions,
  interrupted: AbortSignal,
  screen: Screen,
): Promise<Summary> {
  const scoreboard = new Scoreboard();
  const state: FeedState = { acknowledged: 0, resumed: 0, frauds: 0, eventMs: 0, finished: false };
  const progress = new Progress(platform, scoreboard, state);
  const over =
    options.durationMs === undefined
      ? interrupted
      : AbortSignal.any([interrupted, AbortSignal.timeout(options.durationMs)]);
  const source: Source =
    options.replay === undefined ? generated(trafficOf(options)) : recorded(options.replay);
  const stopDrawing = screen.draw(() => renderLive(progress.live(), scoreboard));
  const ended = new AbortController();
  const retraining = options.retrain
    ? retrainOnce(platform, AbortSignal.any([over, ended.signal]))
    : Promise.resolve();
  retraining.catch(() => undefined); // thrown below
  try {
    await progress.follow(() =>
      feed({
        streams: platform.streams,
        source,
        rate: options.rate,
        signal: over,
        state,
        onPayments: (payments, sentMs) => scoreboard.note(payments, sentMs),
        room: (atMs, signal) => progress.room(atMs, signal),
      }),
    );
    const summary = await progress.drained();
    ended.abort();
    await retraining;
    return summary;
  } finally {
    ended.abort();
    stopDrawing();
    progress.stop();
  }
}

function trafficOf({ seed, inflateFrom }: RunOptions): TrafficOptions {
  return {
    seed,
    ...(inflateFrom === undefined ? {} : { inflation: { fromDay: inflateFrom, factor: INFLATION } }),
  };
}

const INFLATION = 2;

/** A data folder goes on with the source it began with: rows of two sources could not be told apart. */
async function checkSource(platform: Platform, options: RunOptions): Promise<void> {
  const source =
    options.replay === undefined
      ? `made-up payments, seed ${options.seed}${options.inflateFrom === undefined ? '' : `, inflated from day ${options.inflateFrom}`}`
      : `${basename(options.replay)}, ${statSync(options.replay).size} bytes`;
  const known = await platform.store.get('example.payments', 'source');
  if (known && known.value !== source) {
    throw new Error(
      `This data folder holds ${String(known.value)}; it cannot go on with ${source}. Name another folder with --data.`,
    );
  }
  await platform.store.transact([{ kind: 'put', table: 'example.payments', key: 'source', value: source }]);
}

/** Fires at the first Ctrl-C or SIGTERM; the second ends the process at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143);
      controller.abort();
    });
  }
  return controller.signal;
}
