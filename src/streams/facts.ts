import {
  type Clock,
  type FactStream,
  type Facts,
  type Json,
  MillraceError,
  type Service,
} from '../kernel/index.ts';
import { encodeBatch } from './record-batch/index.ts';
import type { Streams } from './service.ts';

export const FACT_STREAMS: readonly FactStream[] = [
  'millrace.deployments',
  'millrace.decisions',
  'millrace.alerts',
  'millrace.incidents',
  'millrace.audit',
  'millrace.models',
  'millrace.drift',
];

/** Facts are few and asked for long after; the audit trail is the longest kept. */
const RETENTION_MS = 90 * 86_400_000;

/**
 * The platform's own facts as records of system streams: `{ time, type, … }` in JSON, under the fact's key. `start`
 * makes the streams that are not there yet.
 */
export function createFacts(streams: Streams, { clock }: { readonly clock: Clock }): Facts & Service {
  const encode = (type: string, fact: { readonly [field: string]: Json }, timeMs: number): Uint8Array =>
    Buffer.from(JSON.stringify({ time: new Date(timeMs).toISOString(), ...fact, type }));
  return {
    name: 'facts',
    async start() {
      for (const name of FACT_STREAMS) {
        if (!streams.find(name)) await streams.define({ name, internal: true, retentionMs: RETENTION_MS });
      }
    },
    async record(stream, key, fact) {
      if (!FACT_STREAMS.includes(stream)) {
        throw new MillraceError(
          'STREAM_NOT_FOUND',
          `'${stream}' carries no facts. Use one of ${FACT_STREAMS.join(', ')}.`,
        );
      }
      const timeMs = clock.now();
      // Partition 0 is all there is of these streams, so the facts of a key, and of all keys, are in order.
      const batch = encodeBatch([{ key: Buffer.from(key), value: encode(fact.type, fact, timeMs) }], {
        timeMs,
      });
      await streams.log.append({ topic: stream, partition: 0, batch, trusted: true });
    },
  };
}
