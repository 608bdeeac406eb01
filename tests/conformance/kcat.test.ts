/**
 * kcat (librdkafka) against the Kafka port, as a user has it: produce, consume, every compression, places by time, balanced
 * groups, transactions, TLS with a token. Skipped where kcat is not installed.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createPlatform, loadConfig, type Platform } from '../../src/main.ts';
import { until } from '../support/waiting.ts';

const available = spawnSync('kcat', ['-V']).status === 0;
const skip = available ? false : 'kcat is not installed (apt-get install kcat)';

const lines = (count: number, from = 0): string =>
  Array.from({ length: count }, (_, index) => `record ${from + index}\n`).join('');

describe('kcat', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-kcat-'));
  let platform: Platform;
  let broker: string[];

  before(async () => {
    platform = await start(join(folder, 'data'));
    broker = ['-b', platform.addresses.kafka!];
  });
  after(async () => {
    await platform.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const kcat = (words: readonly string[], input = ''): Promise<string> => run([...broker, ...words], input);
  const consume = (topic: string, ...words: string[]): Promise<string> =>
    kcat(['-C', '-t', topic, '-e', '-q', '-o', 'beginning', ...words]);

  it('tells of the broker and the topics', async () => {
    await platform.streams.define({ name: 'listed', partitions: 3 });
    const { brokers, topics } = JSON.parse(await kcat(['-L', '-J']));
    assert.deepEqual(brokers, [{ id: 0, name: `${platform.addresses.kafka}` }]);
    const listed = topics.find(({ topic }: { topic: string }) => topic === 'listed');
    assert.equal(listed.partitions.length, 3);
  });

  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    it(`writes and reads ${compression}, and so does the platform`, async () => {
      const topic = `compressed-${compression}`;
      const input = lines(2000);
      await kcat(['-P', '-t', topic, '-z', compression, '-X', 'acks=all'], input);
      assert.equal(await consume(topic), input);
      const { records } = await platform.streams.read({ topic, partition: 0 }, 0, { limit: 3 });
      assert.deepEqual(
        records.map(({ value }) => Buffer.from(value!).toString()),
        ['record 0', 'record 1', 'record 2'],
      );
    });
  }

  it('carries keys, headers and empty values', async () => {
    await kcat(['-P', '-t', 'parts', '-K', ':', '-H', 'trace=abc', '-Z'], 'k1:v1\nk2:\n');
    const read = await consume('parts', '-f', '%k|%s|%S|%h\\n');
    assert.equal(read, 'k1|v1|2|trace=abc\nk2||-1|trace=abc\n');
  });

  it('writes as an idempotent producer, and in transactions', async () => {
    await kcat(['-P', '-t', 'once', '-X', 'enable.idempotence=true'], lines(500));
    assert.equal(await consume('once'), lines(500));
    await kcat(['-P', '-t', 'transacted', '-X', 'transactional.id=kcat'], lines(100));
    assert.equal(await consume('transacted', '-X', 'isolation.level=read_committed'), lines(100));
  });

  it('finds places by time, from the end and within a range', async () => {
    await platform.streams.define({ name: 'timed' });
    for (const [time, value] of [
      [1000, 'a'],
      [2000, 'b'],
      [3000, 'c'],
    ] as const) {
      await platform.streams.publish('timed', [{ value: Buffer.from(value), timeMs: time }]);
    }
    assert.match(await kcat(['-Q', '-t', 'timed:0:2000']), /offset 1$/m);
    assert.match(await kcat(['-Q', '-t', 'timed:0:-2']), /offset 0$/m);
    assert.match(await kcat(['-Q', '-t', 'timed:0:-1']), /offset 3$/m);
    assert.equal(await kcat(['-C', '-t', 'timed', '-e', '-q', '-o', 's@2000']), 'b\nc\n');
    assert.equal(await kcat(['-C', '-t', 'timed', '-e', '-q', '-o', '-1']), 'c\n');
    assert.equal(await kcat(['-C', '-t', 'timed', '-q', '-o', '1', '-c', '1']), 'b\n');
  });

  it('follows, and sees what comes over HTTP and from the platform', async () => {
    await platform.streams.define({ name: 'followed' });
    const following = run([...broker, '-C', '-t', 'followed', '-q', '-o', 'beginning', '-c', '2'], '');
    await fetch(`${platform.addresses.api}/streams/followed/records`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"from":"http"}',
    });
    await platform.streams.publish('followed', [{ value: { json: 'platform' } }]);
    assert.equal(await following, '{"from":"http"}\n"platform"\n');
  });

  it('is told what is wrong', async () => {
    await assert.rejects(kcat(['-P', '-t', 'no spaces'], 'a\n'), /Invalid topic/i);
    await platform.streams.define({ name: 'checked', schema: { type: 'object' } });
    await assert.rejects(kcat(['-P', '-t', 'checked'], 'no json\n'), /record|schema|failed/i);
    await kcat(['-P', '-t', 'checked'], '{}\n');
  });

  it('shares a topic in a balanced group, whose positions the platform shows', async () => {
    await platform.streams.define({ name: 'shared', partitions: 4 });
    const members = [0, 1].map(() =>
      spawn('kcat', [...broker, '-G', 'workers', '-q', '-X', 'auto.offset.reset=earliest', '-u', 'shared'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    );
    const outputs = members.map((member) => {
      const output = { text: '' };
      member.stdout!.on('data', (chunk: Buffer) => {
        output.text += chunk;
      });
      return output;
    });
    const got = (): number[] => outputs.flatMap(({ text }) => text.split('\n').slice(0, -1).map(Number));
    await platform.streams.publish(
      'shared',
      Array.from({ length: 400 }, (_, index) => ({ value: { json: index }, partition: index % 4 })),
    );
    await until('both members have read all', () => got().length >= 400, { shows: () => got().length });
    const expected = Array.from({ length: 400 }, (_, index) => index);
    assert.deepEqual(
      got().sort((left, right) => left - right),
      expected,
    );
    const groups = (): string[] => platform.streams.groupsOf('shared').map(({ group }) => group);
    await until('the group has committed', () => groups().includes('workers'), { shows: groups });
    for (const member of members) await ended(member);
    const [group] = platform.streams.groupsOf('shared');
    assert.deepEqual(group!.lag, [0, 0, 0, 0]);
  });

  it('goes on where it was after a restart of the platform', async () => {
    await kcat(['-P', '-t', 'kept', '-X', 'acks=all'], lines(1000));
    await platform.stop();
    platform = await start(join(folder, 'data'));
    broker = ['-b', platform.addresses.kafka!];
    assert.equal(await consume('kept'), lines(1000));
  });

  it('comes in by TLS with a token where the port is open to others', async () => {
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
    const names = 'subjectAltName=IP:127.0.0.1';
    const request = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '1',
    ];
    execFileSync(
      'openssl',
      [...request, '-subj', '/CN=test', '-addext', names, '-keyout', key, '-out', certificate],
      {
        stdio: 'ignore',
      },
    );
    const data = join(folder, 'guarded');
    const flags = { 'kafka-host': '0.0.0.0', 'tls-certificate': certificate, 'tls-key': key };
    await assert.rejects(start(data, flags), /Kafka port would be open/);
    const first = await start(data);
    const { token } = await first.tokens.create({ name: 'kcat', scopes: ['read', 'write', 'administer'] });
    await first.stop();
    await using open = await start(data, flags);
    const address = `127.0.0.1:${open.addresses.kafka!.split(':')[1]}`;
    const secure = [
      '-b',
      address,
      '-X',
      'security.protocol=SASL_SSL',
      '-X',
      `ssl.ca.location=${certificate}`,
    ];
    const plain = [...secure, '-X', 'sasl.mechanisms=PLAIN', '-X', 'sasl.username=kcat'];
    await run([...plain, '-X', `sasl.password=${token}`, '-P', '-t', 'safe'], lines(10));
    const read = ['-C', '-t', 'safe', '-e', '-q', '-o', 'beginning'];
    assert.equal(await run([...plain, '-X', `sasl.password=${token}`, ...read], ''), lines(10));
    await assert.rejects(run([...plain, '-X', 'sasl.password=wrong', '-L', '-m', '3'], ''), /./);
    await assert.rejects(run(['-b', address, '-L', '-m', '3'], ''), /./);
  });

  it('is known by a certificate that an authority has signed, and by no other', async () => {
    const make = (name: string, ...words: string[]): string => {
      const key = [
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        file(`${name}.key`),
      ];
      const request = ['req', '-x509', ...key, '-days', '1', '-out', file(`${name}.pem`), ...words];
      execFileSync('openssl', request, { stdio: 'ignore' });
      return file(`${name}.pem`);
    };
    const file = (name: string): string => join(folder, `mtls-${name}`);
    const server = make('server', '-subj', '/CN=test', '-addext', 'subjectAltName=IP:127.0.0.1');
    const authority = make('authority', '-subj', '/CN=Authority');
    const signed = ['-CA', authority, '-CAkey', file('authority.key')];
    make('ann', '-subj', '/O=Example, Inc./OU=shop/CN=ann', ...signed);
    make('stranger', '-subj', '/O=Example, Inc./OU=shop/CN=ann');
    const flags = { 'tls-certificate': server, 'tls-key': file('server.key'), 'kafka-client-ca': authority };
    await assert.rejects(
      start(join(folder, 'mtls'), { 'kafka-client-ca': authority }),
      /Give --tls-certificate/,
    );
    await using open = await start(join(folder, 'mtls'), {
      ...flags,
      'kafka-host': '0.0.0.0',
      'api-port': 'off',
    });
    const address = `127.0.0.1:${open.addresses.kafka!.split(':')[1]}`;
    const as = (name: string): string[] => [
      ...['-b', address, '-X', 'security.protocol=SSL', '-X', `ssl.ca.location=${server}`],
      ...[
        '-X',
        `ssl.certificate.location=${file(`${name}.pem`)}`,
        '-X',
        `ssl.key.location=${file(`${name}.key`)}`,
      ],
    ];
    await open.streams.define({ name: 'mine', partitions: 1 });
    await run([...as('ann'), '-P', '-t', 'mine'], lines(10));
    const read = ['-C', '-t', 'mine', '-e', '-q', '-o', 'beginning'];
    assert.equal(await run([...as('ann'), ...read], ''), lines(10));
    await assert.rejects(run([...as('stranger'), '-L', '-m', '3'], ''), /./);
    await assert.rejects(
      run([...as('ann').slice(0, 6), '-L', '-m', '3'], ''),
      /./,
      'nobody without a certificate',
    );
  });
});

async function start(data: string, flags: { readonly [flag: string]: string } = {}): Promise<Platform> {
  const ports = { 'api-port': '0', 'edge-port': 'off', 'inference-port': 'off', 'kafka-port': '0' };
  const config = await loadConfig({ flags: { data, ...ports, ...flags }, env: {}, folder: tmpdir() });
  const platform = createPlatform(config);
  await platform.start();
  return platform;
}

/** What kcat writes to stdout; rejects with what it writes to stderr when it fails. */
async function run(words: readonly string[], input: string): Promise<string> {
  const child = spawn('kcat', words, { stdio: ['pipe', 'pipe', 'pipe'], timeout: 60_000 });
  const [out, errors]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (chunk) => out.push(chunk));
  child.stderr.on('data', (chunk) => errors.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  if (code === 0) return Buffer.concat(out).toString();
  throw new Error(`kcat ended with ${code}: ${Buffer.concat(errors).toString()}`);
}

async function ended(child: ChildProcess): Promise<void> {
  const close = once(child, 'close');
  child.kill('SIGTERM');
  await close;
}
