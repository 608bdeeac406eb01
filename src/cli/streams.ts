import { type Command, type CommandCall, textOption } from './command.ts';
import { CommandError, type ExitCode, wrongUsage } from './exit.ts';
import { nearestName } from './nearest.ts';

export const command: Command = {
  usage: 'streams copy --to kafka://HOST:PORT[,HOST:PORT…] [STREAM …]',
  about:
    'Copies streams to a Kafka cluster: their settings, their committed records as the bytes they are, and the positions of consumer groups. Run again, it goes on where it stopped and copies what came since.',
  options: {
    to: { type: 'string', value: 'URL', about: 'the cluster; kafkas:// for TLS, user:password@ for SASL' },
    from: { type: 'string', value: 'URL', about: 'where to copy from (the Kafka port of the platform)' },
    mechanism: {
      type: 'string',
      value: 'NAME',
      about: 'SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 (SCRAM-SHA-512)',
    },
  },
  words: [1, 1000],
  examples: [
    ['millrace streams copy --to kafka://kafka1:9092,kafka2:9092', 'all streams'],
    ['millrace streams copy payments --to kafkas://me:secret@kafka1:9093', 'one, over TLS with SASL'],
  ],
  run(call) {
    const action = call.words[0]!;
    if (action === 'copy') return copy(call);
    const near = nearestName(action, ['copy']);
    throw wrongUsage(`streams cannot ${action}. ${near ? `Did you mean ${near}?` : 'It can copy.'}`);
  },
};

type Copying = typeof import('../main.ts')['copyStreams'];
type CopyOptions = Parameters<Copying>[0];
type CopyCluster = CopyOptions['from'];

const PROGRESS_EVERY_MS = 1000;

async function copy(call: CommandCall): Promise<ExitCode> {
  const { terminal, words } = call;
  const to = textOption(call, 'to');
  if (to === undefined) throw wrongUsage('streams copy needs --to, such as --to kafka://kafka1:9092.');
  const target = clusterOf(to, call);
  const source = clusterOf(textOption(call, 'from') ?? (await platformAddress(call)), call);
  const topics = words.slice(1);
  const { copyStreams } = await import('../main.ts');
  const summary = await copyStreams({
    from: source,
    to: target,
    ...(topics.length > 0 ? { topics } : {}),
    onProgress: progressLines((line) => terminal.note(line)),
    signal: terminal.interrupted,
  });
  if (call.json) await terminal.out(`${JSON.stringify(summary)}\n`);
  else {
    const { records, bytes, recordsBefore, partitions, groups } = summary;
    await terminal.out(
      `${summary.topics} streams, ${partitions} partitions: ${records} records (${bytes} bytes) copied, ${recordsBefore} were there; ${groups} groups\n`,
    );
  }
  return 0;
}

/** At most a line a second, for all partitions together. */
function progressLines(note: (line: string) => void): NonNullable<CopyOptions['onProgress']> {
  const latest = new Map<string, { readonly records: number; readonly of: number }>();
  let nextMs = performance.now() + PROGRESS_EVERY_MS;
  return ({ topic, partition, records, of }) => {
    latest.set(`${topic}/${partition}`, { records, of });
    if (performance.now() < nextMs) return;
    nextMs = performance.now() + PROGRESS_EVERY_MS;
    const sum = (field: 'records' | 'of'): number =>
      [...latest.values()].reduce((total, each) => total + each[field], 0);
    note(`${topic}/${partition}: ${records} of about ${of}; in all ${sum('records')} of about ${sum('of')}`);
  };
}

async function platformAddress({ client }: CommandCall): Promise<string> {
  const { addresses } = await client.get<{ addresses: { kafka: string | null } }>('/status');
  if (addresses.kafka !== null) return `kafka://${addresses.kafka}`;
  throw new CommandError(
    1,
    'The platform has no Kafka port open. Start it with --kafka-port, or give --from.',
  );
}

const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;

/** `kafka://[user:password@]host:port[,host:port…]`. */
function clusterOf(text: string, call: CommandCall): CopyCluster {
  const match = /^kafka(s?):\/\/(?:([^:@/]+):([^@/]*)@)?([^@/]+)\/?$/.exec(text);
  if (!match) throw wrongUsage(`'${text}' names no cluster. Write it as kafka://host:9092,host:9092.`);
  const [, tls, username, password, brokers] = match;
  const wanted = textOption(call, 'mechanism') ?? 'SCRAM-SHA-512';
  const mechanism = MECHANISMS.find((each) => each === wanted.toUpperCase());
  if (!mechanism)
    throw wrongUsage(`'${wanted}' is no mechanism of SASL here. There are ${MECHANISMS.join(', ')}.`);
  return {
    brokers: brokers!.split(','),
    ...(tls === '' ? {} : { tls: {} }),
    ...(username === undefined
      ? {}
      : {
          sasl: {
            mechanism,
            username: decodeURIComponent(username),
            password: decodeURIComponent(password!),
          },
        }),
  };
}
