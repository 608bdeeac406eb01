import { readFile } from 'node:fs/promises';
import { type Command, type CommandCall, textOption } from './command.ts';
import { CommandError, type ExitCode, wrongUsage } from './exit.ts';
import { nearestName } from './nearest.ts';
import { table } from './terminal.ts';

interface Version {
  readonly model: string;
  readonly version: string;
  readonly number: number;
  readonly created: string;
  readonly by?: string;
  readonly metrics: { readonly [name: string]: number };
  readonly tags: { readonly [name: string]: string };
}

export const command: Command = {
  usage:
    'model push NAME FILE | model alias NAME ALIAS [VERSION] | model versions NAME | model find [WORDS] | model rm NAME VERSION',
  about:
    'Registers ONNX files as versions, points aliases at them (without a version the alias is removed), lists, finds and removes versions. A version is its hash, its number or an alias.',
  options: {
    alias: { type: 'string', value: 'ALIAS', about: 'push: points this alias at the new version' },
    facts: {
      type: 'string',
      value: 'JSON|@FILE',
      about: 'push: metrics, tags, card, serving and what else there is to say',
    },
    breaking: { type: 'boolean', about: 'alias: also to a version with other inputs or outputs' },
    reason: { type: 'string', value: 'TEXT', about: 'alias: kept in the record of the change' },
    tag: { type: 'string', value: 'NAME=VALUE', about: 'find: only versions with this tag' },
    metric: { type: 'string', value: 'CONDITION', about: "find: only versions such as 'auc>=0.9'" },
  },
  words: [1, 4],
  examples: [
    [
      `millrace model push eta eta.onnx --facts '{"metrics":{"mae":2.1}}' --alias staging`,
      'a version for trying',
    ],
    ['millrace model alias eta production staging', 'what is staged goes into production'],
    ["millrace model find rides --metric 'mae<=3'", 'versions of all models'],
  ],
  run(call) {
    const [action = ''] = call.words;
    const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (run) return run(call);
    const near = nearestName(action, Object.keys(ACTIONS));
    const known = Object.keys(ACTIONS).join(', ');
    throw wrongUsage(`model cannot ${action}. ${near ? `Did you mean ${near}?` : `It can ${known}.`}`);
  },
};

const ACTIONS: { readonly [action: string]: (call: CommandCall) => Promise<ExitCode> } = {
  push,
  alias,
  versions,
  find,
  rm,
};

function wordOf({ words }: CommandCall, at: number, what: string): string {
  const word = words[at];
  if (word === undefined) throw wrongUsage(`model ${words[0]} needs ${what}.`);
  return word;
}

const pathOf = (name: string): string => `/models/${encodeURIComponent(name)}`;

async function push(call: CommandCall): Promise<ExitCode> {
  const name = wordOf(call, 1, 'a name and a file');
  const file = wordOf(call, 2, 'a file, such as model.onnx');
  const facts = await factsOf(textOption(call, 'facts') ?? '{}');
  const form = new FormData();
  form.set('onnx', new Blob([new Uint8Array(await read(file))]));
  form.set('facts', facts);
  const encoded = new Response(form);
  const body = {
    type: encoded.headers.get('content-type')!,
    content: new Uint8Array(await encoded.arrayBuffer()),
  };
  const wanted = textOption(call, 'alias');
  const query = wanted === undefined ? '' : `?alias=${encodeURIComponent(wanted)}`;
  const version = await call.client.send<Version>('POST', `${pathOf(name)}/versions${query}`, body);
  if (call.json) await call.terminal.out(`${JSON.stringify(version)}\n`);
  else await call.terminal.out(`${name} ${version.version} (number ${version.number})\n`);
  return 0;
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new CommandError(1, `${path} cannot be read: ${(error as Error).message}.`);
  }
}

async function factsOf(given: string): Promise<string> {
  const text = given.startsWith('@') ? (await read(given.slice(1))).toString('utf8') : given;
  try {
    JSON.parse(text);
    return text;
  } catch (error) {
    throw wrongUsage(`--facts is not JSON: ${(error as Error).message}.`);
  }
}

async function alias(call: CommandCall): Promise<ExitCode> {
  const name = wordOf(call, 1, 'a model, an alias and a version');
  const word = wordOf(call, 2, 'an alias, such as production');
  const version = call.words[3];
  const path = `${pathOf(name)}/aliases/${encodeURIComponent(word)}`;
  const reason = textOption(call, 'reason');
  const content = JSON.stringify({
    version,
    ...(call.values.breaking === true ? { breaking: true } : {}),
    ...(reason === undefined ? {} : { reason }),
  });
  const model = await (version === undefined
    ? call.client.send<{ aliases: { [alias: string]: string } }>('DELETE', path)
    : call.client.send<{ aliases: { [alias: string]: string } }>('PUT', path, {
        type: 'application/json',
        content,
      }));
  if (call.json) await call.terminal.out(`${JSON.stringify(model)}\n`);
  else call.terminal.note(version === undefined ? `${word} is removed` : `${word} is ${model.aliases[word]}`);
  return 0;
}

async function versions(call: CommandCall): Promise<ExitCode> {
  const name = wordOf(call, 1, 'a model');
  const { versions: found } = await call.client.get<{ versions: Version[] }>(`${pathOf(name)}/versions`);
  return show(call, found);
}

async function find(call: CommandCall): Promise<ExitCode> {
  const query = new URLSearchParams();
  const text = call.words.slice(1).join(' ');
  if (text !== '') query.set('q', text);
  for (const name of ['tag', 'metric']) {
    const value = textOption(call, name);
    if (value !== undefined) query.set(name, value);
  }
  const { versions: found } = await call.client.get<{ versions: Version[] }>(`/model-versions?${query}`);
  return show(call, found);
}

async function show({ json, terminal }: CommandCall, found: readonly Version[]): Promise<ExitCode> {
  if (json) {
    await terminal.out(`${JSON.stringify({ versions: found })}\n`);
    return 0;
  }
  if (found.length === 0) {
    terminal.note('There are no such versions.');
    return 0;
  }
  const rows = found.map(({ model, version, number, created, metrics, tags }) => [
    model,
    String(number),
    version,
    created,
    Object.entries(metrics)
      .map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
      .join(', ') || '-',
    Object.entries(tags)
      .map(([name, value]) => `${name}=${value}`)
      .join(', ') || '-',
  ]);
  await terminal.out(
    table(['model', 'number', 'version', 'created', 'metrics', 'tags'], rows, terminal.columns),
  );
  return 0;
}

async function rm(call: CommandCall): Promise<ExitCode> {
  const name = wordOf(call, 1, 'a model and a version');
  const version = wordOf(call, 2, 'a version');
  await call.client.send('DELETE', `${pathOf(name)}/versions/${encodeURIComponent(version)}`);
  if (call.json) await call.terminal.out(`${JSON.stringify({ removed: version })}\n`);
  else call.terminal.note(`${version} of ${name} is removed`);
  return 0;
}
