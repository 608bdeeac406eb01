import { writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type BuiltApp, createBuilder } from '../build/index.ts';
import type { trainApart } from '../main.ts';
import { appModule } from './app-source.ts';
import { type Command, type CommandCall, textOption } from './command.ts';
import { CommandError, type ExitCode, wrongUsage } from './exit.ts';
import { historyOf } from './history.ts';

type Spec = Parameters<typeof trainApart>[0];
type Trained = Awaited<ReturnType<typeof trainApart>>;

/** What is to be learnt, and where the rows are. */
interface Plan {
  readonly spec: Spec;
  readonly from: { readonly file: string } | { readonly stream: string };
  /** How the app wants the model to be served. */
  readonly serving?: object;
}

const TEXTS = {
  from: ['FILE', 'rows: CSV with a header or NDJSON, packed (.gz) or not'],
  stream: ['STREAM', 'rows: the values of its records, read from the platform'],
  records: ['N', 'most records to read of a stream, the newest (1000000)'],
  module: ['APP.TS', 'the app that declares the model (app.ts)'],
  algorithm: [
    'NAME',
    'boosted-trees, logistic-regression, linear-regression, isolation-forest, k-means, mlp, text-classifier',
  ],
  label: ['COLUMN', 'what to predict'],
  features: ['A,B,…', 'columns to learn from; all but label and weight'],
  weight: ['COLUMN', 'how much a row counts'],
  task: ['classes|number', 'what the label is, where it could be both'],
  holdout: ['PART', 'part of the rows to measure on (0.2)'],
  split: ['random|last', 'which rows those are (random)'],
  seed: ['N', 'the same seed gives the same model (1)'],
  set: ['NAME=VALUE,…', "the algorithm's settings, such as rounds=200,learningRate=0.05"],
  out: ['FILE', 'writes the ONNX file, and asks no platform to keep it'],
  alias: ['NAME', 'points this alias at the new version'],
} as const;

export const command: Command = {
  usage: 'train [MODEL] [--from FILE|--stream STREAM] [--label COLUMN] [--out FILE]',
  about:
    'Learns a model from rows, measures it on rows that it has not seen, and registers it with the platform as a version of MODEL, or writes it as ONNX. What is not said here is taken from the app that declares MODEL.',
  options: Object.fromEntries(
    Object.entries(TEXTS).map(([name, [value, about]]) => [name, { type: 'string', value, about }]),
  ),
  words: [0, 1],
  examples: [
    ['millrace train --from payments.csv.gz --label fraud --out fraud.onnx', 'boosted trees, to a file'],
    ['millrace train fraud --module app.ts --alias candidate', 'as the app declares it'],
    [
      'millrace train churn --stream visits --label left --set rounds=300,maxLeaves=15',
      "from a stream's history",
    ],
  ],
  async run(call): Promise<ExitCode> {
    const out = textOption(call, 'out');
    if (call.words[0] === undefined && out === undefined) {
      throw wrongUsage('Name the MODEL to register a version of, or a file to write with --out.');
    }
    const plan = await planOf(call);
    const trained = await learn(call, plan);
    if (out !== undefined) await writeFile(out, trained.onnx);
    const version = out === undefined ? await register(call, plan, trained) : undefined;
    const { rows, metrics, importance, facts } = trained;
    const report = { ...(out === undefined ? { version } : { out }), rows, metrics, importance, facts };
    await call.terminal.out(call.json ? `${JSON.stringify(report)}\n` : render(report));
    return 0;
  },
};

async function planOf(call: CommandCall): Promise<Plan> {
  const declared = await declaredPlan(call);
  const [file, stream] = [textOption(call, 'from'), textOption(call, 'stream')];
  if (file !== undefined && stream !== undefined)
    throw wrongUsage('Rows come --from a file or a --stream, not both.');
  const from = file !== undefined ? { file } : stream !== undefined ? { stream } : declared?.from;
  if (!from) throw wrongUsage('Say where the rows are: --from FILE or --stream STREAM.');
  const features = textOption(call, 'features')?.split(',');
  const settings = { ...declared?.spec.settings, ...settingsOf(textOption(call, 'set')) };
  const texts = ['algorithm', 'label', 'weight', 'task', 'split'].map((name) => [
    name,
    textOption(call, name),
  ]);
  const numbers = ['holdout', 'seed'].map((name) => [name, numberOption(call, name)]);
  const said = Object.fromEntries(
    [...texts, ...numbers].filter(([, value]) => value !== undefined),
  ) as object;
  const spec = {
    algorithm: 'boosted-trees',
    ...declared?.spec,
    ...said,
    ...(features ? { features } : {}),
    settings,
  };
  return { from, spec: spec as Spec, ...(declared?.serving ? { serving: declared.serving } : {}) };
}

/** What the app says of the model; undefined when flags say it all. */
async function declaredPlan(call: CommandCall): Promise<(Partial<Plan> & { spec: Spec }) | undefined> {
  const [name] = call.words;
  const module = textOption(call, 'module');
  const saysAll = textOption(call, 'from') !== undefined || textOption(call, 'stream') !== undefined;
  if (name === undefined || (module === undefined && saysAll)) return undefined;
  const path = appModule(module);
  const { manifest } = await build(path);
  const declared = manifest.models?.find((model) => model.name === name);
  if (!declared?.training) {
    throw new CommandError(
      3,
      `${path} declares no model '${name}' with a training. Add train: boostedTrees({ label, from }), or say it all by --from and --label.`,
    );
  }
  const { serving, training } = declared;
  const { from, ...spec } = training as unknown as Spec & { from?: { file?: string; stream?: string } };
  if (from?.file !== undefined) return { spec, serving, from: { file: resolve(dirname(path), from.file) } };
  return from?.stream === undefined ? { spec, serving } : { spec, serving, from: { stream: from.stream } };
}

async function build(path: string): Promise<BuiltApp> {
  const builder = createBuilder();
  try {
    return await builder.build(path, {});
  } finally {
    await builder.close();
  }
}

function numberOption(call: CommandCall, name: string): number | undefined {
  const text = textOption(call, name);
  if (text === undefined) return undefined;
  const number = Number(text);
  if (text.trim() === '' || Number.isNaN(number)) throw wrongUsage(`--${name} ${text} is not a number.`);
  return number;
}

/** `rounds=200,grow=depth` as an object; values are JSON where they can be, else texts. */
function settingsOf(text: string | undefined): { [name: string]: unknown } {
  if (text === undefined) return {};
  // A comma inside brackets belongs to a value, such as hidden=[64,32].
  const pairs = text.match(/(?:[^,[\]{}]|\[[^\]]*\]|\{[^}]*\})+/g) ?? [];
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw wrongUsage(`'${pair}' is no setting; write NAME=VALUE,NAME=VALUE.`);
      const value = pair.slice(at + 1);
      try {
        return [pair.slice(0, at), JSON.parse(value)];
      } catch {
        return [pair.slice(0, at), value];
      }
    }),
  );
}

/** How often progress is told. */
const TELL_MS = 1000;

async function learn(call: CommandCall, { spec, from }: Plan): Promise<Trained> {
  const { trainApart } = await import('../main.ts');
  const { interrupted } = call.terminal;
  const records = numberOption(call, 'records') ?? 1_000_000;
  const source =
    'file' in from
      ? ({ kind: 'file', path: resolve(from.file) } as const)
      : ({ kind: 'rows', rows: await historyOf(call.client, from.stream, records) } as const);
  let told = performance.now();
  const onProgress: Parameters<typeof trainApart>[2] = {
    signal: interrupted,
    onProgress({ done, of, loss }) {
      if (performance.now() - told < TELL_MS) return;
      told = performance.now();
      call.terminal.note(`${done} of ${of}${loss === undefined ? '' : `, loss ${loss.toPrecision(4)}`}`);
    },
  };
  try {
    return await trainApart(spec, source, onProgress);
  } catch (error) {
    if (interrupted.aborted) throw new CommandError(1, 'The training was interrupted; nothing was kept.');
    throw error;
  }
}

/** Sends the file with what is known of it. */
async function register(
  call: CommandCall,
  { spec, from, serving }: Plan,
  trained: Trained,
): Promise<unknown> {
  const [name] = call.words;
  const { metrics, importance, rows, facts } = trained;
  const alias = textOption(call, 'alias');
  const about = {
    metrics,
    serving: { ...serving, ...trained.serving },
    data: {
      source: 'file' in from ? from.file : `stream/${from.stream}`,
      rows: rows.trained + rows.heldBack,
    },
    lineage: { run: `millrace train: ${spec.algorithm}` },
    facts: { importance, training: { ...spec, ...facts } },
    ...(alias === undefined ? {} : { alias }),
  };
  const form = new FormData();
  form.set('onnx', new Blob([new Uint8Array(trained.onnx)]), 'model.onnx');
  form.set('facts', JSON.stringify(about));
  const response = new Response(form);
  const answer = await call.client.send<{ version: string }>(
    'POST',
    `/models/${encodeURIComponent(name!)}/versions`,
    {
      type: response.headers.get('content-type')!,
      content: new Uint8Array(await response.arrayBuffer()),
    },
  );
  return answer.version;
}

interface Report extends Pick<Trained, 'rows' | 'metrics' | 'importance' | 'facts'> {
  readonly version?: unknown;
  readonly out?: string;
}

const MOST_NAMED = 10;

function render({ version, out, rows, metrics, importance, facts }: Report): string {
  const figure = (value: number): string => Number(value.toPrecision(4)).toString();
  const pairs = (values: { readonly [name: string]: number }): string =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${figure(value)}`)
      .join('  ');
  const ranked = Object.entries(importance)
    .filter(([, part]) => part > 0)
    .sort(([, a], [, b]) => b - a)
    .slice(0, MOST_NAMED);
  const lines = [
    `learnt from ${rows.trained} rows${rows.heldBack > 0 ? `, measured on ${rows.heldBack} others` : ''}`,
    pairs({ ...metrics, ...facts }),
    ...ranked.map(([name, part]) => `${(100 * part).toFixed(1).padStart(5)} %  ${name}`),
    out === undefined ? `registered as version ${version}` : `written to ${out}`,
  ];
  return `${lines.filter((line) => line !== '').join('\n')}\n`;
}
