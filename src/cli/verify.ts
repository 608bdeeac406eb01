import { type Command, type CommandCall, textOption } from './command.ts';

interface Report {
  readonly topics: number;
  readonly partitions: number;
  readonly batches: number;
  readonly records: number;
  readonly bytes: number;
  readonly damages: readonly Damage[];
}

interface Damage {
  readonly file: string;
  readonly position: number;
  readonly topic?: string;
  readonly partition?: number;
  readonly firstOffset?: number;
  readonly lastOffset?: number;
  readonly detail: string;
}

export const command: Command = {
  usage: 'verify [--data DIR]',
  about:
    'Reads all stored data and names every damage, repairing nothing. Works on the data folder of a platform that is stopped; one that is running is asked to do it. Exit code 1 when there is damage.',
  options: { data: { type: 'string', value: 'DIR', about: 'the data folder (.millrace)' } },
  words: [0, 0],
  examples: [
    ['millrace verify --data /var/lib/millrace', 'what is on the disk, before starting on it'],
    ['millrace verify --url http://127.0.0.1:7401', 'the same of a platform that is running'],
  ],
  async run(call) {
    const report = call.values.url === undefined ? await verifyHere(call) : await verifyThere(call);
    await call.terminal.out(call.json ? `${JSON.stringify(report)}\n` : render(report));
    return report.damages.length === 0 ? 0 : 1;
  },
};

async function verifyHere(call: CommandCall): Promise<Report> {
  const { loadConfig, verifyDataFolder } = await import('../main.ts');
  const data = textOption(call, 'data');
  const flags = data === undefined ? {} : { data };
  const config = await loadConfig({ flags, env: process.env, folder: process.cwd() });
  try {
    return await verifyDataFolder(config);
  } catch (error) {
    if ((error as { code?: string }).code !== 'DATA_FOLDER_LOCKED') throw error;
    call.terminal.note(`millrace: a platform runs on this folder; asking it at ${call.client.url}`);
    return verifyThere(call);
  }
}

function verifyThere(call: CommandCall): Promise<Report> {
  return call.client.send<Report>('POST', '/verify');
}

function render({ topics, partitions, batches, records, bytes, damages }: Report): string {
  const summary = `${topics} streams, ${partitions} partitions, ${batches} batches, ${records} records, ${bytes} bytes`;
  if (damages.length === 0) return `${summary}: no damage\n`;
  const lines = damages.map(({ file, position, topic, partition, firstOffset, lastOffset, detail }) => {
    const place = topic === undefined ? '' : ` ${topic}/${partition}`;
    const lost = firstOffset === undefined ? '' : ` offsets ${firstOffset} to ${lastOffset}`;
    return `damaged: ${file} at ${position}${place}${lost}: ${detail}`;
  });
  return `${lines.join('\n')}\n${summary}: ${damages.length} damaged places\n`;
}
