import type { Command } from './command.ts';
import {
  type AppSummary,
  type FunctionSummary,
  type ModelSummary,
  readInventory,
  type StreamSummary,
} from './inventory.ts';
import { table } from './terminal.ts';

export const command: Command = {
  usage: 'ls [--all]',
  about:
    'Lists apps, functions, streams and models with their versions, rates, instances, lag and dead letters.',
  options: { all: { type: 'boolean', short: 'a', about: "the platform's own streams too" } },
  words: [0, 0],
  examples: [['millrace ls', 'everything that runs, at a glance']],
  async run({ client, json, terminal, values }) {
    const { apps, functions, streams, models } = await readInventory(client);
    const shown = streams.filter((stream) => values.all === true || !stream.internal);
    if (json) {
      await terminal.out(`${JSON.stringify({ apps, functions, streams: shown, models })}\n`);
      return 0;
    }
    const tables = [
      [APP_HEADINGS, apps.map(appRow)],
      [FUNCTION_HEADINGS, functions.map(functionRow)],
      [STREAM_HEADINGS, shown.map(streamRow)],
      [MODEL_HEADINGS, models.map(modelRow)],
    ] as const;
    const texts = tables.flatMap(([headings, rows]) =>
      rows.length === 0 ? [] : [table(headings, rows, terminal.columns, NAME_COLUMNS)],
    );
    if (texts.length > 0) await terminal.out(texts.join('\n'));
    else terminal.note('There is nothing yet. Deploy an app: `millrace init`, then `millrace deploy`.');
    return 0;
  },
};

/** Longer names are cut, so that every column of a row is seen. */
const NAME_COLUMNS = 26;
const VERSION_COLUMNS = 8;
const APP_HEADINGS = ['app', 'version', 'functions', 'streams'];
const FUNCTION_HEADINGS = ['function', 'version', 'calls/s', 'errors', 'p99', 'instances', 'dead', 'app'];
const STREAM_HEADINGS = ['stream', 'partitions', 'records', 'per s', 'lag', 'owner'];
const MODEL_HEADINGS = ['model', 'production', 'versions', 'other aliases', 'owner'];

function modelRow({ name, aliases, latest, owner }: ModelSummary): string[] {
  const others = Object.keys(aliases).filter((alias) => alias !== 'production');
  const production = aliases.production?.slice(0, VERSION_COLUMNS) ?? '-';
  return [name, production, String(latest), others.join(', ') || '-', owner ?? '-'];
}

function appRow({ app, version, functions, streams }: AppSummary): string[] {
  return [app, version.slice(0, VERSION_COLUMNS), String(functions), String(streams)];
}

function functionRow({ name, version, stats, instances, deadLetters, app }: FunctionSummary): string[] {
  return [
    name,
    version.slice(0, VERSION_COLUMNS),
    rateText(stats.perSecond),
    `${Number((stats.errorRate * 100).toPrecision(2))} %`,
    stats.latencyMs === null ? '-' : `${rateText(stats.latencyMs.p99)} ms`,
    String(instances),
    String(deadLetters),
    app,
  ];
}

function streamRow(stream: StreamSummary): string[] {
  const { name, partitions, records, perSecond, lag, owner, detached } = stream;
  return [
    name,
    String(partitions),
    String(records),
    perSecond === null ? '-' : rateText(perSecond),
    lag === null ? '-' : String(lag),
    detached ? `${owner} (detached)` : (owner ?? '-'),
  ];
}

/** Three digits are what rates of a few seconds are worth. */
export const rateText = (value: number): string =>
  value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
