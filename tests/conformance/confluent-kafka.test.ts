import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { startKafkaPort } from '../support/kafka-port.ts';

interface Case {
  readonly name: string;
  readonly error?: string;
}

/** Every case of `confluent-kafka.py`: those that it does not report have not run. */
const NAMES = [
  'sends idempotently with every compression',
  'reads what the topic had packed anew',
  'reads in a group of the classic protocol, and takes over',
  'reads in a group of the newer protocol, and takes over',
  'rebalances cooperatively',
  'subscribes by a regular expression, classic',
  'subscribes by a regular expression, newer protocol',
  'moves from the classic protocol to the newer one and back, member by member',
  'moves with cooperative members',
  'moves with static members',
  'comes back as a static member',
  'reads, transforms and writes in transactions, and is fenced',
  'has its abandoned transaction aborted',
  'administers groups and topics',
  'keeps access control lists',
];

/** All cases, one after the other. */
const SCRIPT_WITHIN_MS = 280_000;
const fileOf = (name: string): string => new URL(name, import.meta.url).pathname;
const installed = spawnSync(fileOf('./confluent-kafka.sh'), { encoding: 'utf8' });
const skip = installed.status === 0 ? false : `confluent-kafka: ${installed.stderr.trim()}`;

describe('confluent-kafka for Python (librdkafka)', { skip, timeout: 300_000 }, () => {
  const cases = new Map<string, Case>();

  before(async () => {
    await using port = await startKafkaPort();
    const words = [fileOf('./confluent-kafka.py'), port.bootstrap];
    const limits = { timeout: SCRIPT_WITHIN_MS };
    const { stdout } = await promisify(execFile)(installed.stdout.trim(), words, limits);
    for (const line of stdout.trim().split('\n')) {
      const one = JSON.parse(line) as Case;
      cases.set(one.name, one);
    }
  });

  for (const name of NAMES) {
    it(name, () =>
      assert.deepEqual(cases.get(name)?.error ?? (cases.has(name) ? undefined : 'it did not run'), undefined),
    );
  }
  it('has no case that is not looked at', () => assert.deepEqual([...cases.keys()], NAMES));
});
