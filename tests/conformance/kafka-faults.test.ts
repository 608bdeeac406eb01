import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type KafkaLogOptions, kafkaLogStore } from '../../src/adapters/kafka/index.ts';
import { isMillraceError, systemClock } from '../../src/kernel/index.ts';
import { encodeBatch, type LogStore, splitBatches } from '../../src/streams/index.ts';
import { kafkaUnavailable, startKafka } from '../support/kafka-cluster.ts';

const skip = (await kafkaUnavailable()) ?? false;

/** A dead broker is noticed sooner than by default. */
const QUICK = { 'broker.session.timeout.ms': 3_000, 'broker.heartbeat.interval.ms': 500 };

async function opened(options: Omit<KafkaLogOptions, 'clock'>): Promise<LogStore & AsyncDisposable> {
  const log = kafkaLogStore({ ...options, clock: systemClock() });
  await log.start?.();
  return Object.assign(log, { [Symbol.asyncDispose]: async () => log.stop?.(AbortSignal.timeout(5_000)) });
}

const batchOf = (value: string): Uint8Array =>
  encodeBatch([{ value: Buffer.from(value) }], { timeMs: Date.now() });

async function count(log: LogStore, topic: string, partition: number): Promise<number> {
  let [records, offset] = [0, 0];
  for (;;) {
    const { batches } = await log.fetch({
      topic,
      partition,
      offset,
      maxBytes: 4_000_000,
      isolation: 'committed',
    });
    if (batches.length === 0) return records;
    for (const { header } of splitBatches(batches)) {
      if (!header.control) records += header.recordCount;
      offset = header.lastOffset + 1;
    }
  }
}

describe('the log over a Kafka cluster', { skip }, () => {
  it('goes on when a broker of three is killed: appends come once, commits as a whole', async () => {
    await using cluster = await startKafka({ nodes: 3, properties: QUICK });
    await using log = await opened({ brokers: cluster.brokers, sessionTimeoutMs: 6_000 });
    await log.topics.create({ name: 'in', partitions: 3 });
    await log.topics.create({ name: 'out', partitions: 3 });
    const assignment = (await log.join('g', ['in'])).assignment!;
    let [appended, committed, fenced] = [0, 0, 0];
    let running = true;
    const appending = (async () => {
      for (let partition = 0; running; partition = (partition + 1) % 3) {
        await log.append({ topic: 'in', partition, batch: batchOf(`${appended}`) });
        appended++;
      }
    })();
    const committing = (async () => {
      for (let offset = 1; running; offset++) {
        const result = await assignment.commit({
          appends: [0, 1, 2].map((partition) => ({ topic: 'out', partition, batch: batchOf(`${offset}`) })),
          offsets: [{ topic: 'in', partition: 0, offset, done: [] }],
          state: [{ store: 's', partition: 0, key: Buffer.from('last'), value: Buffer.from(`${offset}`) }],
        });
        if (result.status === 'COMMITTED') committed++;
        else fenced++;
      }
    })();
    await until(() => appended > 20 && committed > 3);
    await cluster.kill(0);
    const [appendedThen, committedThen] = [appended, committed];
    await until(() => appended > appendedThen + 50 && committed > committedThen + 10);
    await cluster.restart(0);
    running = false;
    await Promise.all([appending, committing]);
    const sum = async (topic: string): Promise<number> =>
      (await Promise.all([0, 1, 2].map((partition) => count(log, topic, partition)))).reduce((a, b) => a + b);
    await until(async () => (await sum('out')) === committed * 3);
    assert.equal(await sum('in'), appended, 'no append is lost, none comes twice');
    assert.equal(fenced, 0);
    assert.equal((await assignment.state('s', 0)).size, 1);
  });

  it('keeps thousands of done offsets that no metadata can hold', async () => {
    await using cluster = await startKafka();
    const options = { brokers: cluster.brokers };
    await using log = await opened(options);
    await log.topics.create({ name: 'in', partitions: 1 });
    const done = Array.from({ length: 10_000 }, (_, index) => 1 + index * 2);
    const member = await log.join('g', ['in']);
    const position = { topic: 'in', partition: 0, offset: 0, done };
    const result = await member.assignment!.commit({ appends: [], offsets: [position], state: [] });
    assert.equal(result.status, 'COMMITTED');
    await member.leave();
    await using other = await opened(options);
    const next = await other.join('g', ['in']);
    assert.deepEqual(await next.assignment!.position(position), { offset: 0, done });
  });

  it('comes in by TLS and SASL, and says why where it may not', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'));
    const file = (name: string): string => join(folder, name);
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject];
    execFileSync('openssl', [...request, '-keyout', file('key.pem'), '-out', file('cert.pem')], {
      stdio: 'ignore',
    });
    const pem = `${readFileSync(file('key.pem'), 'utf8')}${readFileSync(file('cert.pem'), 'utf8')}`;
    const ca = readFileSync(file('cert.pem'));
    const oneLine = pem.trim().replaceAll('\n', '\\n');
    const login = 'org.apache.kafka.common.security.scram.ScramLoginModule required';
    await using cluster = await startKafka({
      clientProtocol: 'SASL_SSL',
      scramUsers: { admin: 'admin-secret', millrace: 'the secret' },
      properties: {
        'sasl.enabled.mechanisms': 'SCRAM-SHA-512',
        'sasl.mechanism.inter.broker.protocol': 'SCRAM-SHA-512',
        'listener.name.clients.scram-sha-512.sasl.jaas.config': `${login} username="admin" password="admin-secret";`,
        'ssl.keystore.type': 'PEM',
        'ssl.keystore.key': oneLine.slice(0, oneLine.indexOf('-----BEGIN CERT')).replace(/\\n$/, ''),
        'ssl.keystore.certificate.chain': oneLine.slice(oneLine.indexOf('-----BEGIN CERT')),
        'ssl.truststore.type': 'PEM',
        'ssl.truststore.certificates': oneLine.slice(oneLine.indexOf('-----BEGIN CERT')),
      },
    });
    rmSync(folder, { recursive: true });
    const sasl = { mechanism: 'SCRAM-SHA-512', username: 'millrace', password: 'the secret' } as const;
    const way = { brokers: cluster.brokers, tls: { ca }, retryForMs: 30_000 };
    await using log = await opened({ ...way, sasl });
    await log.topics.create({ name: 'in', partitions: 1 });
    assert.equal((await log.append({ topic: 'in', partition: 0, batch: batchOf('x') })).baseOffset, 0);
    await assert.rejects(opened({ ...way, sasl: { ...sasl, password: 'guess' } }), (error) =>
      isMillraceError(error, 'UNAUTHENTICATED'),
    );
    await assert.rejects(
      opened({ ...way, sasl: { ...sasl, mechanism: 'PLAIN' } }),
      /SCRAM-SHA-512, not PLAIN/,
    );
  });
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50));
}
