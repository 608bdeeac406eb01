import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createPlatform, loadConfig } from '../../src/main.ts';
import { findPython } from '../support/python.ts';

/* Confluent's client for Python: its registry client and its three serialisers, produced and consumed over the Kafka port. */
const python = findPython([
  'confluent_kafka.schema_registry.avro',
  'confluent_kafka.schema_registry.json_schema',
  'confluent_kafka.schema_registry.protobuf',
]);
const SCRIPT = new URL('./schema-registry.py', import.meta.url).pathname;

describe('the schema registry and confluent-kafka for Python', {
  skip: 'skip' in python ? python.skip : false,
}, () => {
  it('understand each other, and records that do not fit are refused', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-registry-'));
    const flags = { data: join(folder, 'data'), 'edge-port': 'off', 'api-port': '0', 'kafka-port': '0' };
    const platform = createPlatform(await loadConfig({ flags, env: {}, folder }));
    await platform.start();
    try {
      const schema = { type: 'object', properties: { card: { type: 'string' } }, required: ['card'] };
      await platform.streams.define({ name: 'payments', schema, keyPath: '/card' });
      const found = await run([platform.addresses.api!, platform.addresses.kafka!]);
      assert.deepEqual(found, {
        avro: { id: 'a' },
        json: { id: 'a' },
        protobuf: { id: 'a', sums: [1.5, 2] },
        subjects: ['avro-value', 'json-value', 'payments-value', 'protobuf-value'],
        latest: ['avro-value', 1, 'Order'],
        compatible: [true, false],
        versions: [1, 2],
        lookup: true,
        incompatible: [409, 409],
        unknown: [404, 40401],
        references: ['avro-value'],
        level: 'FULL',
        deleted: [1],
        payments: [null, null, 'INVALID_RECORD', 'INVALID_RECORD', 'INVALID_RECORD'],
      });
      const { records } = await platform.streams.read({ topic: 'payments', partition: 0 }, 0);
      assert.deepEqual(
        records.map(({ value }) => value![0]),
        [0, 0x7b],
      );
    } finally {
      await platform.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** The platform runs in this process: Python must not hold it. */
async function run(words: readonly string[]): Promise<unknown> {
  const path = 'path' in python ? python.path : '';
  const child = spawn(path, [SCRIPT, ...words], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000 });
  let [out, problems] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (problems += chunk));
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 0, problems);
  return JSON.parse(out);
}
