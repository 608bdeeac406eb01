import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { findKafka, type KafkaJars } from '../support/kafka-jars.ts';
import { type KafkaPort, startKafkaPort } from '../support/kafka-port.ts';

const found = await findKafka();
const skip = 'unavailable' in found ? found.unavailable : false;

const TOOLS = 'org.apache.kafka.tools';
/** One run of a tool, some of which read until they have what they were asked for. */
const TOOL_WITHIN_MS = 120_000;
let port: KafkaPort;
let folder: string;

/** Runs one of Apache Kafka's own command-line tools and gives what it printed. */
async function tool(name: string, arguments_: readonly string[], input = ''): Promise<string> {
  const { java, classPath } = found as KafkaJars;
  const child = spawn(
    java,
    [
      ...['-Xmx256m', '-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'],
      ...['-cp', classPath, name, '--bootstrap-server', port.bootstrap, ...arguments_],
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], timeout: TOOL_WITHIN_MS, killSignal: 'SIGKILL' },
  );
  let out = '';
  let problems = '';
  child.stdout.on('data', (chunk: Buffer) => void (out += chunk));
  child.stderr.on('data', (chunk: Buffer) => void (problems += chunk));
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  assert.equal(code, 0, `${name} ${arguments_.join(' ')}: ${problems || out}`);
  return out;
}

const topics = (...arguments_: string[]) => tool(`${TOOLS}.TopicCommand`, arguments_);
const groups = (...arguments_: string[]) => tool(`${TOOLS}.consumer.group.ConsumerGroupCommand`, arguments_);
const numbers = (count: number): string => Array.from({ length: count }, (_, index) => `${index}\n`).join('');

describe("Apache Kafka's own tools", { skip, timeout: 600_000 }, () => {
  before(async () => {
    port = await startKafkaPort();
    folder = await mkdtemp(join(tmpdir(), 'millrace-tools-'));
  });
  after(async () => {
    await port[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  it('make, describe, grow and delete topics', async () => {
    await topics('--create', '--topic', 'made', '--partitions', '3');
    assert.match(await topics('--list'), /^made$/m);
    assert.match(await topics('--describe', '--topic', 'made'), /PartitionCount: 3/);
    await topics('--alter', '--topic', 'made', '--partitions', '5');
    assert.match(await topics('--describe', '--topic', 'made'), /PartitionCount: 5/);
    await topics('--delete', '--topic', 'made');
    assert.doesNotMatch(await topics('--list'), /^made$/m);
  });

  it('set and show configurations', async () => {
    await topics('--create', '--topic', 'configured');
    const configs = (...arguments_: string[]) =>
      tool('kafka.admin.ConfigCommand', [
        '--entity-type',
        'topics',
        '--entity-name',
        'configured',
        ...arguments_,
      ]);
    await configs('--alter', '--add-config', 'retention.ms=3600000');
    assert.match(await configs('--describe'), /retention\.ms=3600000/);
    await configs('--alter', '--delete-config', 'retention.ms');
    assert.doesNotMatch(await configs('--describe'), /retention\.ms=3600000/);
  });

  for (const protocol of ['classic', 'consumer']) {
    it(`produce and consume at the console in a group of the ${protocol} protocol`, async () => {
      const topic = `console-${protocol}`;
      await topics('--create', '--topic', topic, '--partitions', '3');
      await tool(`${TOOLS}.ConsoleProducer`, ['--topic', topic], numbers(500));
      const config = join(folder, `${protocol}.properties`);
      await writeFile(config, `group.protocol=${protocol}\n`);
      const out = await tool(`${TOOLS}.consumer.ConsoleConsumer`, [
        ...['--topic', topic, '--from-beginning', '--max-messages', '500', '--group', topic],
        ...['--command-config', config],
      ]);
      const values = out.trim().split('\n').map(Number);
      assert.deepEqual(
        values.sort((a, b) => a - b),
        Array.from({ length: 500 }, (_, index) => index),
      );
      const described = await groups('--describe', '--group', topic);
      assert.equal(
        [...described.matchAll(/^console-\S+\s+console-\S+\s+\d\s.*\s0\s+-\s+-\s+-/gm)].length,
        3,
        described,
      );
      assert.match(
        await groups('--list', '--state', '--type'),
        new RegExp(`^${topic}\\s+${protocol}\\s+Empty`, 'mi'),
      );
      await groups('--group', topic, '--reset-offsets', '--to-earliest', '--topic', topic, '--execute');
      assert.match(await groups('--describe', '--group', topic), /\s0\s+\d+\s+\d+\s+-/);
      await groups('--group', topic, '--delete-offsets', '--topic', `${topic}:0`);
      await groups('--delete', '--group', topic);
      assert.doesNotMatch(await groups('--list'), new RegExp(`^${topic}$`, 'm'));
    });
  }

  it('verify that what was produced is consumed', async () => {
    const sent = await tool(`${TOOLS}.VerifiableProducer`, ['--topic', 'verified', '--max-messages', '2000']);
    const summary = JSON.parse(sent.trim().split('\n').at(-1)!);
    assert.deepEqual([summary.sent, summary.acked], [2000, 2000]);
    const received = await tool(`${TOOLS}.VerifiableConsumer`, [
      ...[
        '--topic',
        'verified',
        '--group-id',
        'verified',
        '--max-messages',
        '2000',
        '--reset-policy',
        'earliest',
      ],
    ]);
    const counts = received
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ name }) => name === 'records_consumed')
      .map(({ count }) => count as number);
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      2000,
    );
  });

  it('list transactions', async () => {
    const out = await tool(`${TOOLS}.TransactionsCommand`, ['list']);
    assert.match(out, /TransactionalId/);
  });

  it('keep access control lists', async () => {
    const allow = ['--allow-principal', 'User:ann', '--operation', 'Read', '--topic', 'secret'];
    await aclCommand('--add', ...allow);
    assert.match(
      await aclCommand('--list'),
      /principal=User:ann, host=\*, operation=READ, permissionType=ALLOW/,
    );
    await aclCommand('--remove', '--force', ...allow);
    assert.doesNotMatch(await aclCommand('--list'), /User:ann/);
  });
});

const aclCommand = (...arguments_: string[]) => tool(`${TOOLS}.AclCommand`, arguments_);
