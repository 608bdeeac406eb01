import { Buffer } from 'node:buffer';
import { connect } from 'node:net';
import fc from 'fast-check';
import { onSignal } from '../../kernel/index.ts';
import {
  APIS,
  type Api,
  type FieldType,
  type Shape,
  writeRequest,
} from '../../streams/kafka-protocol/index.ts';
import { batchOf, type TestKafka } from './kafka.fixture.ts';

/** What a round of mutated requests came to. */
export interface FuzzResult {
  readonly requests: number;
  readonly answers: number;
  /** Connections that the server ended before the client did. */
  readonly ended: number;
  /** Failures that are no answer of the protocol: defects. */
  readonly defects: readonly string[];
}

/** Some topics, groups and batches that mutated requests can hit. */
export async function prepare({ streams }: TestKafka): Promise<void> {
  await streams.define({ name: 'a', partitions: 2 });
  await streams.define({ name: 'b', schema: { type: 'object' } });
  await streams.publish('a', [{ value: { json: 1 } }]);
}

/** Sends mutated requests over connections that are closed after a few; the same seed sends the same. */
export async function fuzz(
  kafka: TestKafka,
  options: { requests: number; seed: number; parallel: number },
): Promise<FuzzResult> {
  const defects: string[] = [];
  const stop = onSignal('platform.log', ({ level, message, error }) => {
    if (level === 'error') defects.push(`${message} ${error instanceof Error ? error.stack : String(error)}`);
  });
  const next = numbers(options.seed);
  const seeds = validRequests(options.seed);
  const totals = { requests: 0, answers: 0, ended: 0 };
  const worker = async (): Promise<void> => {
    while (totals.requests < options.requests && defects.length === 0) {
      const frames = Array.from({ length: 1 + next(FRAMES_AT_MOST) }, () => mutated(next, seeds));
      totals.requests += frames.length;
      const { answers, ended } = await send(kafka.address, frames);
      await removeMade(kafka);
      totals.answers += answers;
      if (ended) totals.ended++;
    }
  };
  const ticking = setInterval(() => kafka.clock.advance(FAKE_MS_PER_TICK), TICK_MS);
  await Promise.all(Array.from({ length: options.parallel }, worker));
  clearInterval(ticking);
  stop();
  return { ...totals, defects };
}

/** Topics that requests made: listing thousands of partitions again and again would be all that is tested. */
async function removeMade({ streams }: TestKafka): Promise<void> {
  for (const { name, partitions } of streams.list()) {
    if (KEPT.has(name) && partitions < 100) continue;
    await streams.delete(name).catch(() => undefined);
    if (KEPT.has(name)) await streams.define({ name }).catch(() => undefined);
  }
}

const KEPT: ReadonlySet<string> = new Set(['a', 'b']);
const FRAMES_AT_MOST = 5;
/** How long to wait for answers that may never come: a long poll, a group that waits for members. */
const QUIET_MS = 250;
/** The door's time goes faster, so that what waits for time to pass is answered soon. */
const TICK_MS = 5;
const FAKE_MS_PER_TICK = 10_000;

/** A small generator with a seed (mulberry32), so that a failing run can be told again. */
function numbers(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

/** Valid requests of every API and version, with names and numbers that mean something here. */
function validRequests(seed: number): readonly Buffer[] {
  return APIS.flatMap((api: Api) =>
    Array.from({ length: api.versions.to - api.versions.from + 1 }, (_, index) => {
      const version = api.versions.from + index;
      return fc
        .sample(messageOf(api.request), { numRuns: 3, seed: seed + api.key * 100 + version })
        .map((message) =>
          Buffer.concat(
            writeRequest(api, version, { correlationId: 1, clientId: 'fuzz' }, message as never),
          ).subarray(4),
        );
    }).flat(),
  );
}

const WORDS = [
  'a',
  'b',
  'none',
  '',
  'group',
  'member',
  'range',
  'consumer',
  'PLAIN',
  'SCRAM-SHA-256',
  'retention.ms',
];
const NUMBERS = [0, 1, -1, 2, 3, -2, 100];

function messageOf(shape: Shape): fc.Arbitrary<unknown> {
  return fc.record(
    Object.fromEntries(Object.entries(shape).map(([name, { spec }]) => [name, anyOf(spec.type)])),
  );
}

function anyOf(type: FieldType): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'bool':
      return fc.boolean();
    case 'string':
      return fc.constantFrom(...WORDS);
    case 'uuid':
      return fc.constantFrom('0'.repeat(32), '1'.repeat(32));
    case 'bytes':
      return fc.constantFrom(
        Buffer.alloc(0),
        Buffer.from('n,,n=a,r=x'),
        Buffer.from('\0a\0b'),
        Buffer.from([0, 1, 0, 0, 0, 1, 0, 1, 97]),
      );
    case 'records':
      return fc.constantFrom(batchOf(['x']), batchOf(['{}', '1']), Buffer.alloc(0));
    case 'array':
      return fc.array(anyOf(type.of), { maxLength: 3 });
    case 'struct':
      return messageOf(type.shape);
    default:
      return fc.constantFrom(...NUMBERS);
  }
}

type Mutation = (bytes: Buffer, at: number, next: (bound: number) => number) => Buffer;

const MUTATIONS: readonly Mutation[] = [
  (bytes, at, next) => {
    bytes[at] = next(256);
    return bytes;
  },
  (bytes, at, next) => {
    bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xff][next(6)]!;
    return bytes;
  },
  (bytes, at, next) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + next(8))]),
  (bytes, at, next) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(next(at + 1))]),
  (bytes, at) => bytes.subarray(0, at),
  (bytes, at) =>
    Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]), bytes.subarray(at)]),
];

/** One frame, mostly with a size that fits it. */
function mutated(next: (bound: number) => number, seeds: readonly Buffer[]): Buffer {
  let bytes: Buffer = Buffer.from(seeds[next(seeds.length)]!);
  for (let count = next(3); count > 0 && bytes.length > 0; count--) {
    // The header is hit less often: what is wrong there ends the connection at once.
    const from = next(10) === 0 ? 0 : Math.min(14, bytes.length - 1);
    bytes = MUTATIONS[next(MUTATIONS.length)]!(bytes, from + next(bytes.length - from), next);
  }
  const size = Buffer.alloc(4);
  size.writeInt32BE(next(200) === 0 ? next(2 ** 32) | 0 : bytes.length);
  return Buffer.concat([size, bytes]);
}

/** Sends the frames at once, counts answers until there is silence, and hangs up. */
function send(address: string, frames: readonly Buffer[]): Promise<{ answers: number; ended: boolean }> {
  return new Promise((resolve) => {
    const port = Number(address.slice(address.lastIndexOf(':') + 1));
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.concat(frames)));
    let received = Buffer.alloc(0);
    let answers = 0;
    let isOurEnd = false;
    const hangUp = (): void => {
      isOurEnd = true;
      socket.destroy();
    };
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        received = received.subarray(4 + received.readInt32BE(0));
        answers++;
      }
      if (answers === frames.length) hangUp();
    });
    socket.setTimeout(QUIET_MS, hangUp);
    socket.on('error', () => undefined);
    socket.on('close', () => resolve({ answers, ended: !isOurEnd }));
  });
}
