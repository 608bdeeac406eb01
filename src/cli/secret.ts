import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { type Command, type CommandCall, textOption } from './command.ts';
import { type ExitCode, wrongUsage } from './exit.ts';
import { nearestName } from './nearest.ts';
import { table } from './terminal.ts';

const LARGEST_VALUE_BYTES = 64 * 1024;

export const command: Command = {
  usage: 'secret set NAME | secret ls | secret rm NAME',
  about:
    'Sets, lists and removes secrets. The value is read from standard input, or asked for without being shown; a line feed at its end is left out. No command prints it.',
  options: {
    value: {
      type: 'string',
      value: 'TEXT',
      about: 'the value itself; others on this machine can see it while the command runs',
    },
  },
  words: [1, 2],
  examples: [
    ['millrace secret set CRM_KEY < key.txt', 'from a file'],
    ['millrace secret set CRM_KEY', 'asks for the value on a terminal'],
  ],
  run(call) {
    const action = call.words[0]!;
    if (action === 'set') return set(call);
    if (action === 'ls') return list(call);
    if (action === 'rm') return remove(call);
    const near = nearestName(action, ['set', 'ls', 'rm']);
    throw wrongUsage(`secret cannot ${action}. ${near ? `Did you mean ${near}?` : 'It can set, ls and rm.'}`);
  },
};

function nameOf(call: CommandCall): string {
  const name = call.words[1];
  if (name === undefined) throw wrongUsage(`secret ${call.words[0]} needs a name, such as CRM_KEY.`);
  return name;
}

async function set(call: CommandCall): Promise<ExitCode> {
  const name = nameOf(call);
  const value = textOption(call, 'value') ?? (await readValue(call, name));
  if (value === '') throw wrongUsage('The value is empty. Give one on standard input.');
  const body = { type: 'text/plain; charset=utf-8', content: value };
  await call.client.send('PUT', `/secrets/${encodeURIComponent(name)}`, body);
  if (call.json) await call.terminal.out(`${JSON.stringify({ set: name })}\n`);
  else call.terminal.note(`set ${name}; instances that start from now on see it`);
  return 0;
}

async function readValue({ terminal }: CommandCall, name: string): Promise<string> {
  if (terminal.input.isTTY) return askHidden(terminal.input, `Value of ${name} (not shown): `);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of terminal.input as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > LARGEST_VALUE_BYTES) throw wrongUsage('The value is larger than 64 kB.');
  }
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

/** Asks on stderr, for stdout holds data alone; what is typed goes nowhere. */
function askHidden(input: NodeJS.ReadStream, question: string): Promise<string> {
  process.stderr.write(question);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input, output: nowhere, terminal: true });
  return new Promise((resolve, reject) => {
    reader.once('line', (line) => {
      resolve(line);
      reader.close();
    });
    reader.once('SIGINT', () => reader.close());
    reader.once('close', () => {
      process.stderr.write('\n');
      reject(wrongUsage('No value was given.'));
    });
  });
}

async function list(call: CommandCall): Promise<ExitCode> {
  const answer = await call.client.get<{ secrets: readonly string[] }>('/secrets');
  if (call.json) await call.terminal.out(`${JSON.stringify(answer)}\n`);
  else if (answer.secrets.length === 0)
    call.terminal.note('There are no secrets. Make one: millrace secret set NAME');
  else
    await call.terminal.out(
      table(
        ['name'],
        answer.secrets.map((name) => [name]),
        call.terminal.columns,
      ),
    );
  return 0;
}

async function remove(call: CommandCall): Promise<ExitCode> {
  const name = nameOf(call);
  await call.client.send('DELETE', `/secrets/${encodeURIComponent(name)}`);
  if (call.json) await call.terminal.out(`${JSON.stringify({ removed: name })}\n`);
  else call.terminal.note(`removed ${name}`);
  return 0;
}
