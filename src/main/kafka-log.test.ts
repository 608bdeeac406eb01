import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isMillraceError, resolveConfig, systemClock } from '../kernel/index.ts';
import { defineConfig, kafka } from '../sdk/index.ts';
import { streamsSection } from '../streams/index.ts';
import { flattened, openKafkaLog } from './kafka-log.ts';

const resolved = (streams: ReturnType<typeof kafka>) =>
  resolveConfig([streamsSection], { file: flattened({ ...defineConfig({ streams }) }) }).streams;

it('kafka({ … }) in the configuration file stands for its settings', () => {
  const sasl = { mechanism: 'SCRAM-SHA-512', username: 'millrace', password: 'secret' } as const;
  const config = resolved(
    kafka({ brokers: ['a:9092'], prefix: 'p.', session: '6s', tls: { ca: 'ca.pem' }, sasl }),
  );
  assert.deepEqual(
    { ...config },
    {
      ...{ streams: 'kafka', streamsBrokers: ['a:9092'], streamsPrefix: 'p.', streamsReplicas: null },
      ...{
        streamsSession: 6000,
        streamsTls: true,
        streamsCa: 'ca.pem',
        streamsCertificate: null,
        streamsKey: null,
      },
      ...{ streamsSasl: 'SCRAM-SHA-512', streamsUsername: 'millrace', streamsPassword: 'secret' },
    },
  );
});

it('what the cluster cannot be reached with is refused before the start', () => {
  const bad = [
    kafka({ brokers: [] }),
    kafka({ brokers: ['a:9092'], tls: { ca: '/nowhere/ca.pem' } }),
    kafka({ brokers: ['a:9092'], sasl: { mechanism: 'PLAIN', username: 'x' } }),
  ];
  for (const streams of bad) {
    assert.throws(
      () => openKafkaLog(resolved(streams), systemClock()),
      (error) => isMillraceError(error, 'CONFIG_INVALID'),
    );
  }
});
