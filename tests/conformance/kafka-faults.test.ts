import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type KafkaLogOptions, kafkaLogStore } from '../../src/adapters/kafka/index.ts';
import { readRange } from '../../src/adapters/kafka/reading.ts';
import { isMillraceError, systemClock } from '../../src/kernel/index.ts';
import { type Assignment, encodeBatch, type LogStore, type RecordCursor } from '../../src/streams/index.ts';
import { type KafkaCluster, kafkaUnavailable, startKafka } from '../support/kafka-cluster.ts';
import { until } from '../support/waiting.ts';

const skip = (await kafkaUnavailable()) ?? false;

/** A dead broker is noticed sooner than by default. */
const QUICK = { 'broker.session.timeout.ms': 3_000, 'broker.heartbeat.interval.ms': 500 };
const PARTITIONS = [0, 1, 2];
const SOURCE = { topic: 'in', partition: 0, done: [] };

async function opened(options: Omit<KafkaLogOptions, 'clock'>): Promise<LogStore & AsyncDisposable> {
  const log = kafkaLogStore({ ...options, clock: systemClock() });
  await log.start?.();
  return Object.assign(log, { [Symbol.asyncDispose]: async () => log.stop?.(AbortSignal.timeout(5_000)) });
}

const batchOf = (value: string): Uint8Array =>
  encodeBatch([{ value: Buffer.from(value) }], { timeMs: Date.now() });

/** What readers of committed records see of a partition. */
async function valuesOf(log: LogStore, topic: string, partition: number): Promise<number[]> {
  const values: number[] = [];
  const place = { topic, partition };
  const range = { from: 0, to: log.bounds(place).highWatermark };
  const keep = (record: RecordCursor): void => void values.push(Number(Buffer.from(record.value()!)));
  await readRange((request) => log.fetch(request), place, range, keep);
  return values;
}

/** What goes on while brokers fail: appends and commits without a pause, as those of a node. */
interface Traffic {
  readonly counts: { appended: number; committed: number; fenced: number };
  /** Waits for a number of appends and commits more. Rejects at once when one fails. */
  goesOn(when: string): Promise<void>;
  end(): Promise<void>;
}

function startTraffic(log: LogStore): Traffic {
  const counts = { appended: 0, committed: 0, fenced: 0 };
  let running = true;
  const appending = async (): Promise<void> => {
    for (; running; counts.appended++) {
      const partition = counts.appended % PARTITIONS.length;
      await log.append({ topic: 'in', partition, batch: batchOf(`${counts.appended}`) });
    }
  };
  /** From the committed position on, until the assignment is fenced. */
  const commitAll = async (assignment: Assignment): Promise<void> => {
    for (let { offset } = await assignment.position(SOURCE); running; counts.committed++) {
      const value = `${++offset}`;
      const { status } = await assignment.commit({
        appends: PARTITIONS.map((partition) => ({ topic: 'out', partition, batch: batchOf(value) })),
        offsets: [{ ...SOURCE, offset }],
        state: [{ store: 's', partition: 0, key: Buffer.from('last'), value: Buffer.from(value) }],
      });
      if (status !== 'FENCED') continue;
      counts.fenced++;
      return;
    }
  };
  const committing = async (): Promise<void> => {
    while (running) {
      const member = await log.join('g', ['in']);
      if (member.assignment) await commitAll(member.assignment);
      await member.leave();
    }
  };
  const during = [appending(), committing()];
  let ended = false;
  Promise.all(during).then(
    () => (ended = true),
    () => undefined,
  );
  return {
    counts,
    async goesOn(when) {
      const { appended, committed } = counts;
      const enough = (): boolean => counts.appended > appended + 50 && counts.committed > committed + 10;
      const shows = (): unknown => ({ before: { appended, committed }, now: counts });
      await until(`50 appends and 10 commits ${when}`, enough, { shows, during });
    },
    async end() {
      running = false;
      await until('what is under way comes to its end', () => ended, { shows: () => counts, during });
    },
  };
}

/** Three brokers, two topics, and traffic while `faults` happen; then every append is there once and every commit as a whole. */
async function survives(
  faults: (cluster: KafkaCluster, traffic: Traffic, log: LogStore) => Promise<void>,
): Promise<void> {
  await using cluster = await startKafka({ nodes: 3, properties: QUICK });
  await using log = await opened({ brokers: cluster.brokers, sessionTimeoutMs: 6_000, retryForMs: 60_000 });
  await log.topics.create({ name: 'in', partitions: PARTITIONS.length });
  await log.topics.create({ name: 'out', partitions: PARTITIONS.length });
  const traffic = startTraffic(log);
  try {
    await traffic.goesOn('before anything fails');
    await faults(cluster, traffic, log);
  } finally {
    await traffic.end();
  }
  const { appended, committed, fenced } = traffic.counts;
  console.log(`${appended} appends, ${committed} commits, ${fenced} of them fenced`);
  await using reader = await opened({ brokers: cluster.brokers });
  const appends = await Promise.all(PARTITIONS.map((partition) => valuesOf(reader, 'in', partition)));
  const expected = Array.from({ length: appended }, (_, index) => index);
  assert.deepEqual(
    appends.flat().sort((a, b) => a - b),
    expected,
    'no append is lost, none comes twice',
  );
  const member = await reader.join('g', ['in']);
  const { offset } = await member.assignment!.position(SOURCE);
  const steps = Array.from({ length: offset }, (_, index) => index + 1);
  for (const partition of PARTITIONS) {
    const message = `commits are whole, once and in order in partition ${partition}`;
    assert.deepEqual(await valuesOf(reader, 'out', partition), steps, message);
  }
  const state = await member.assignment!.state('s', 0);
  assert.equal(Buffer.from(state.get(Buffer.from('last'))!).toString(), `${offset}`);
}

describe('the log over a Kafka cluster', { skip }, () => {
  it('goes on when one broker of three after the other is killed', () =>
    survives(async (cluster, traffic) => {
      for (const node of [0, 1, 2]) {
        await cluster.kill(node);
        await traffic.goesOn(`after broker ${node} was killed`);
        await cluster.restart(node);
      }
    }));

  it('goes on when a broker hangs with its connections open', () =>
    survives(async (cluster, traffic, log) => {
      await log.topics.create({ name: 'apart', partitions: PARTITIONS.length });
      // The first one: the one that is asked of everything as long as it answers.
      await cluster.pause(0);
      let settled = 0;
      const appends = PARTITIONS.map(async (partition) => {
        await log.append({ topic: 'apart', partition, batch: batchOf('x') });
        settled++;
      });
      await Promise.any(appends);
      assert.ok(settled < PARTITIONS.length, 'a leader that answers does not wait for one that hangs');
      await Promise.all(appends);
      await traffic.goesOn('while broker 0 hangs');
      cluster.resume(0);
      await traffic.goesOn('after broker 0 came back');
    }));

  it('says so within its time when no broker is left, and loses its partitions', async () => {
    await using cluster = await startKafka();
    const options = { brokers: cluster.brokers, sessionTimeoutMs: 3_000, retryForMs: 3_000 };
    await using log = await opened(options);
    await log.topics.create({ name: 'in', partitions: 1 });
    const member = await log.join('g', ['in']);
    const assignment = member.assignment!;
    const commit = { appends: [], offsets: [{ ...SOURCE, offset: 1 }], state: [] };
    assert.equal((await assignment.commit(commit)).status, 'COMMITTED');
    await cluster.pause(0);
    const unavailable = (error: unknown): boolean => isMillraceError(error, 'UNAVAILABLE');
    const append = { topic: 'in', partition: 0, batch: batchOf('x') };
    await Promise.all([
      assert.rejects(log.append(append), unavailable),
      assert.rejects(log.join('other', ['in']), unavailable),
      assert.rejects(opened(options), unavailable),
    ]);
    await until('the assignment is revoked', () => assignment.revoked.aborted);
    assert.equal((await assignment.commit(commit)).status, 'FENCED');
    cluster.resume(0);
    await until('it has its partition again', () => member.assignment?.partitions.length === 1);
    const again = await member.assignment!.commit({ ...commit, offsets: [{ ...SOURCE, offset: 2 }] });
    assert.equal(again.status, 'COMMITTED');
    assert.equal((await log.append(append)).duplicate, false, 'what was refused can be given again');
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
