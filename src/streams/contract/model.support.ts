import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  isMillraceError,
  type ManualClock,
  manualClock,
  type Random,
  seededRandom,
} from '../../kernel/index.ts';
import type { Disk } from '../disk.port.ts';
import type {
  AppendResult,
  Assignment,
  LogStore,
  Membership,
  ProducerIdentity,
  TopicPartition,
} from '../port.ts';
import { appendOf, keyedBatch, produced, readAll, settle, T0, T1, textOf, utf8 } from './harness.support.ts';

/** A disk that loses power or fails on command. */
export interface CrashableDisk extends Disk {
  readonly crashed: boolean;
  crashAt(nth: number): void;
  failAt(operation: 'write' | 'sync', nth: number): void;
  limitSpace(bytes?: number): void;
  crash(random: Random): CrashableDisk;
  kill(): CrashableDisk;
}

/** The log over a disk, with what it otherwise does by itself from time to time. */
export interface OpenedLog {
  readonly store: LogStore;
  maintain(): Promise<void>;
  checkpoint(): Promise<void>;
}

export interface ModelSetup {
  makeDisk(): CrashableDisk;
  open(disk: CrashableDisk, clock: ManualClock, random: Random): Promise<OpenedLog>;
  oracle(clock: ManualClock): LogStore;
}

const COMPACTED: TopicPartition = { topic: 'c', partition: 0 };
const PARTITIONS = [T0, T1, COMPACTED];
/** What rejects for the disk's sake. */
const DISK_CODES = ['DISK_FULL', 'DISK_FAILED', 'UNAVAILABLE'];

const index = fc.nat(1);
const count = fc.integer({ min: 1, max: 3 });

const callArbitrary = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      partition: index,
      count,
      large: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('keyed' as const), key: fc.nat(4), tombstone: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      partition: index,
      key: fc.nat(3),
      remove: fc.boolean(),
    }),
  },
);

const stepArbitrary = fc.oneof(
  { weight: 6, arbitrary: callArbitrary },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('burst' as const),
      calls: fc.array(callArbitrary, { maxLength: 8 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('init' as const), producer: index }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('produce' as const),
      producer: index,
      partition: index,
      again: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('begin' as const), producer: index }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('offsets' as const), producer: index }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('end' as const), producer: index, commit: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('deleteRecords' as const), partition: index, back: fc.nat(6) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('topic' as const), create: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('position' as const), partition: index }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('maintain' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('checkpoint' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const), power: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('full' as const), bytes: fc.nat(2_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('space' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('fail' as const),
      operation: fc.constantFrom('write' as const, 'sync' as const),
      nth: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('crash' as const), nth: fc.integer({ min: 1, max: 25 }) }),
  },
);

type Call = typeof callArbitrary extends fc.Arbitrary<infer Value> ? Value : never;
type Step = typeof stepArbitrary extends fc.Arbitrary<infer Value> ? Value : never;

/** A run of the model: what is done, and the seed of everything that chance decides in it. */
export const runArbitrary = fc.record({
  steps: fc.array(stepArbitrary, { minLength: 1, maxLength: 40, size: 'max' }),
  seed: fc.nat(),
});

/** One call with its input fixed, to be made on the log and, when it took effect there, on the oracle. */
interface Prepared {
  readonly make: (side: Side) => Promise<unknown>;
  /** What the run remembers once the call took effect. */
  readonly took?: (outcome: unknown) => void;
  /** Whether it took effect does not show: as a client does, it is made again after a crash. */
  readonly repeat?: boolean;
}

interface Side {
  readonly store: LogStore;
  readonly membership: Membership;
}

interface ModelProducer {
  readonly transactionalId: string;
  identity: ProducerIdentity;
  open: boolean;
  readonly sequences: Map<number, number>;
}

/**
 * Makes random calls on the log and on the oracle, and crashes the log's disk at random operations. What was
 * acknowledged must be there after every restart, once and in order; what was not may be there as a whole or not at all;
 * what was refused for lack of space must not be.
 */
export async function runModel(
  setup: ModelSetup,
  { steps, seed }: { readonly steps: readonly Step[]; readonly seed: number },
): Promise<void> {
  const run = await ModelRun.begin(setup, seed);
  for (const step of steps) await run.step(step);
  await run.reopen(true);
  await run.finish();
}

class ModelRun {
  readonly #setup: ModelSetup;
  readonly #random: Random;
  readonly #clock = manualClock();
  readonly #producers: ModelProducer[] = [];
  #disk: CrashableDisk;
  #opened!: OpenedLog;
  #log!: Side;
  #oracle!: Side;
  #values = 0;
  /** Calls that were neither acknowledged nor refused, in the order in which they were made. */
  #undecided: Prepared[] = [];
  #reopenings = 0;

  static async begin(setup: ModelSetup, seed: number): Promise<ModelRun> {
    const run = new ModelRun(setup, seed);
    await run.#prepare();
    return run;
  }

  private constructor(setup: ModelSetup, seed: number) {
    this.#setup = setup;
    this.#random = seededRandom(seed);
    this.#disk = setup.makeDisk();
  }

  async #prepare(): Promise<void> {
    this.#opened = await this.#setup.open(this.#disk, this.#clock, seededRandom(1));
    const oracle = this.#setup.oracle(this.#clock);
    for (const store of [this.#opened.store, oracle]) {
      const config = { segmentBytes: 2048, retentionMs: null };
      await store.topics.create({ name: 't', partitions: 2, config });
      await store.topics.create({ name: 'c', partitions: 1, config: { ...config, cleanup: 'compact' } });
    }
    this.#log = await join(this.#opened.store);
    this.#oracle = await join(oracle);
    for (const transactionalId of ['x', 'y']) {
      const identity = { producerId: -1, epoch: -1 };
      const producer = { transactionalId, identity, open: false, sequences: new Map<number, number>() };
      this.#producers.push(producer);
      await this.#perform([this.#init(producer)]);
    }
  }

  async step(step: Step): Promise<void> {
    this.#clock.advance(1);
    if (step.kind === 'crash') return this.#disk.crashAt(step.nth);
    if (step.kind === 'fail') return this.#disk.failAt(step.operation, step.nth);
    if (step.kind === 'full') return this.#disk.limitSpace(step.bytes);
    if (step.kind === 'space') return this.#disk.limitSpace();
    if (step.kind === 'reopen') return this.reopen(step.power);
    if (step.kind === 'maintain' || step.kind === 'checkpoint') return this.#background(step.kind);
    await this.#perform(step.kind === 'burst' ? this.#prepareBurst(step.calls) : [this.#prepareStep(step)]);
  }

  /** Appends first: nothing is promised about the order of an append and a commit that are under way together. */
  #prepareBurst(calls: readonly Call[]): Prepared[] {
    const commits = calls.filter((call) => call.kind === 'commit');
    const appends = calls.filter((call) => call.kind !== 'commit');
    return [...appends, ...commits].map((call) => this.#prepareCall(call));
  }

  /** Housekeeping may fail for the disk's sake; it must never change what is read. */
  async #background(kind: 'maintain' | 'checkpoint'): Promise<void> {
    try {
      await this.#opened[kind]();
    } catch (error) {
      if (!isMillraceError(error) || !DISK_CODES.includes(error.code)) throw error;
      if (error.code !== 'DISK_FULL') await this.reopen(this.#random.integer(2) === 0);
    }
  }

  /** Makes calls at the same time on the log, then those that took effect one after the other on the oracle. */
  async #perform(calls: readonly Prepared[]): Promise<void> {
    const outcomes = await Promise.all(calls.map((call) => outcomeOf(() => call.make(this.#log))));
    let failed = false;
    for (const [position, call] of calls.entries()) {
      const outcome = outcomes[position]!;
      if (failed && outcome.value === 'FENCED') continue; // L8
      failed ||= DISK_CODES.includes(outcome.error ?? '');
      if (outcome.error === 'DISK_FULL') continue;
      if (DISK_CODES.includes(outcome.error ?? '')) this.#undecided.push(call);
      else {
        assert.deepEqual(this.#undecided, [], 'nothing is acknowledged after a call that the disk failed');
        await this.#mirror(call, outcome);
      }
    }
    if (this.#undecided.length > 0 || this.#disk.crashed) await this.reopen(this.#random.integer(2) === 0);
  }

  async #mirror(call: Prepared, outcome?: Outcome): Promise<void> {
    const expected = await outcomeOf(() => call.make(this.#oracle));
    if (outcome) assert.deepEqual(outcome, expected);
    if (expected.error === undefined) call.took?.(expected.value);
  }

  /** Ends the process or the power, opens what is left, and compares all of it. */
  async reopen(power: boolean): Promise<void> {
    this.#reopenings++;
    this.#disk.limitSpace();
    this.#disk = power || this.#disk.crashed ? this.#disk.crash(this.#random) : this.#disk.kill();
    const before = this.#log.store;
    await outcomeOf(async () => before.stop?.(AbortSignal.timeout(1_000)));
    if (this.#random.integer(3) === 0) await this.#crashWhileOpening();
    this.#opened = await this.#setup.open(this.#disk, this.#clock, seededRandom(1_000 + this.#reopenings));
    await this.#oracle.membership.leave();
    this.#oracle = await join(this.#oracle.store);
    this.#log = await join(this.#opened.store);
    await this.#compare();
    const { damages } = await this.#log.store.verify();
    assert.deepEqual(damages, [], 'a crash is no damage');
  }

  async #crashWhileOpening(): Promise<void> {
    this.#disk.crashAt(1 + this.#random.integer(12));
    const opened = await outcomeOf(() => this.#setup.open(this.#disk, this.#clock, seededRandom(0)));
    const stopped = opened.value as OpenedLog | undefined;
    this.#disk = this.#disk.crash(this.#random);
    if (stopped) await outcomeOf(async () => stopped.store.stop?.(AbortSignal.timeout(1_000)));
  }

  /** Equal to the oracle with the first few of the undecided calls: which, only the log can say. */
  async #compare(): Promise<void> {
    const repeated = this.#undecided.filter((call) => call.repeat);
    await this.#decide();
    for (const call of repeated) {
      const outcome = await outcomeOf(() => call.make(this.#log));
      // An identity that was given before the crash, without an answer, makes the next one higher.
      let expected = await outcomeOf(() => call.make(this.#oracle));
      for (let tries = 0; tries < 2 && !isSame(outcome, expected); tries++) {
        expected = await outcomeOf(() => call.make(this.#oracle));
      }
      assert.deepEqual(outcome, expected);
      if (outcome.error === undefined) call.took?.(outcome.value);
    }
  }

  async #decide(): Promise<void> {
    const found = await dump(this.#log.store, this.#log.membership.assignment!);
    const possible: unknown[] = [];
    for (;;) {
      const expected = await dump(this.#oracle.store, this.#oracle.membership.assignment!);
      if (isSame(found, expected)) break;
      possible.push(expected);
      const next = this.#undecided.shift();
      // None fits: show how it differs from what was acknowledged, the least that must be there.
      if (!next) assert.deepEqual(found, possible[0]);
      else await this.#mirror(next);
    }
    this.#undecided = [];
  }

  async finish(): Promise<void> {
    await this.#log.store.stop?.(AbortSignal.timeout(1_000));
  }

  #value(): string {
    return `v${this.#values++}`;
  }

  #prepareStep(
    step: Exclude<Step, { kind: 'burst' | 'crash' | 'fail' | 'full' | 'space' | 'reopen' }>,
  ): Prepared {
    switch (step.kind) {
      case 'init':
        return this.#init(this.#producers[step.producer]!);
      case 'produce':
        return this.#produce(this.#producers[step.producer]!, PARTITIONS[step.partition]!, step.again);
      case 'begin':
        return this.#begin(this.#producers[step.producer]!);
      case 'offsets':
        return this.#offsets(this.#producers[step.producer]!);
      case 'end':
        return this.#end(this.#producers[step.producer]!, step.commit ? 'commit' : 'abort');
      case 'deleteRecords':
        return this.#deleteRecords(PARTITIONS[step.partition]!, step.back);
      case 'topic':
        return { make: ({ store }) => changeTopic(store, step.create) };
      case 'position':
        return { make: ({ membership }) => membership.assignment!.position(PARTITIONS[step.partition]!) };
      case 'append':
      case 'keyed':
      case 'commit':
        return this.#prepareCall(step);
      default:
        throw new Error(`A step of kind ${step.kind} is no call.`);
    }
  }

  #prepareCall(call: Call): Prepared {
    if (call.kind === 'append') {
      const values = Array.from(
        { length: call.count },
        () => `${this.#value()}${call.large ? 'x'.repeat(700) : ''}`,
      );
      return {
        make: ({ store }) => store.append(appendOf(PARTITIONS[call.partition]!, ...values)).then(placeOf),
      };
    }
    if (call.kind === 'keyed') {
      const value = call.tombstone ? null : this.#value();
      const timeMs = this.#clock.now();
      const make = ({ store }: Side) =>
        store.append({ ...COMPACTED, batch: keyedBatch([[`k${call.key}`, value]], timeMs) }).then(placeOf);
      return { make };
    }
    const partition = PARTITIONS[call.partition]!;
    const [record, value, offset] = [this.#value(), this.#value(), this.#values];
    const make = async ({ membership }: Side): Promise<unknown> => {
      const result = await membership.assignment!.commit({
        appends: [appendOf(T0, record), appendOf(T1, record, record)],
        offsets: [{ ...partition, offset, done: [offset + 2] }],
        state: [
          {
            store: 's',
            partition: partition.partition,
            key: utf8(`k${call.key}`),
            value: call.remove ? null : utf8(value),
          },
        ],
      });
      return result.status === 'COMMITTED' ? result.appends.map(placeOf) : result.status;
    };
    return { make };
  }

  #init(producer: ModelProducer): Prepared {
    return {
      repeat: true,
      make: ({ store }) =>
        store.producers.init({ transactionalId: producer.transactionalId, transactionTimeoutMs: 900_000 }),
      took: (outcome) => {
        producer.identity = outcome as ProducerIdentity;
        producer.sequences.clear();
        producer.open = false;
      },
    };
  }

  #produce(producer: ModelProducer, place: TopicPartition, again: boolean): Prepared {
    const next = producer.sequences.get(place.partition) ?? 0;
    const sequence = again ? Math.max(0, next - 1) : next;
    const { identity, open } = producer;
    // The same bytes each time that the sequence is sent, as a client does that repeats a batch.
    const value = `p${producer.transactionalId}-${identity.epoch}-${place.partition}-${sequence}`;
    return {
      make: ({ store }) =>
        store.append({ ...place, batch: produced(identity, sequence, [value], open) }).then(placeOf),
      took: () => producer.sequences.set(place.partition, sequence + 1),
    };
  }

  #begin(producer: ModelProducer): Prepared {
    const { identity, transactionalId } = producer;
    return {
      make: ({ store }) => store.producers.addPartitions(transactionalId, identity, [T0, T1]),
      repeat: true,
      took: () => {
        producer.open = true;
      },
    };
  }

  #offsets(producer: ModelProducer): Prepared {
    const { identity } = producer;
    const offset = this.#values++;
    return {
      make: ({ store }) =>
        store.groups.setOffsets('h', [{ ...T0, offset, done: [] }], { producer: identity }),
      repeat: true,
      took: () => {
        producer.open = true;
      },
    };
  }

  #end(producer: ModelProducer, outcome: 'commit' | 'abort'): Prepared {
    const { identity, transactionalId } = producer;
    return {
      make: ({ store }) => store.producers.end(transactionalId, identity, outcome),
      repeat: true,
      took: () => {
        producer.open = false;
      },
    };
  }

  #deleteRecords(place: TopicPartition, back: number): Prepared {
    const offset = Math.max(0, this.#log.store.bounds(place).highWatermark - back);
    return { make: ({ store }) => store.deleteRecords(place, offset) };
  }
}

async function join(store: LogStore): Promise<Side> {
  const membership = await store.join('g', ['t']);
  // Restored before anything runs at the same time: a store is made when first asked for, which takes a write of its own.
  for (const partition of [0, 1]) await membership.assignment!.state('s', partition);
  return { store, membership };
}

async function changeTopic(store: LogStore, create: boolean): Promise<unknown> {
  if (!create) return store.topics.delete('extra');
  const { name, partitions } = await store.topics.create({ name: 'extra', partitions: 1 });
  return { name, partitions };
}

function placeOf({ baseOffset, lastOffset, duplicate }: AppendResult): unknown {
  return { baseOffset, lastOffset, duplicate };
}

interface Outcome {
  readonly value?: unknown;
  readonly error?: string;
}

async function outcomeOf(call: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { value: await call() };
  } catch (error) {
    if (isMillraceError(error)) return { error: error.code };
    throw error;
  }
}

function isSame(found: unknown, expected: unknown): boolean {
  try {
    assert.deepEqual(found, expected);
    return true;
  } catch {
    return false;
  }
}

/** Everything that a user can see of the log. */
async function dump(store: LogStore, assignment: Assignment): Promise<unknown> {
  await settle();
  const partitions: unknown[] = [];
  for (const place of [T0, T1]) {
    partitions.push({
      bounds: store.bounds(place),
      all: await readAll(store, place),
      committed: (await readAll(store, place, { isolation: 'committed', maxBytes: 900 })).map(
        (one) => one.value,
      ),
      producers: store.producers
        .active(place)
        .map(({ lastTimeMs: _, ...rest }) => rest)
        .sort((a, b) => a.producerId - b.producerId),
      state: entriesOf(await assignment.state('s', place.partition)),
    });
  }
  const latest = new Map(
    (await readAll(store, COMPACTED)).map(({ key, offset, value }) => [key, { offset, value }]),
  );
  return {
    topics: store.topics
      .list()
      .filter((topic) => !topic.internal)
      .map(({ name, partitions }) => ({ name, partitions }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    partitions,
    // Compaction may have dropped what a later record of the key replaced, and keys that end in a tombstone.
    latest: [...latest].filter(([, { value }]) => value !== undefined).sort(([a], [b]) => (a! < b! ? -1 : 1)),
    compactedEnd: store.bounds(COMPACTED).highWatermark,
    offsets: [store.groups.offsets('g'), store.groups.offsets('h')],
  };
}

function entriesOf(view: Awaited<ReturnType<Assignment['state']>>): unknown {
  return [...view.entries()].map(({ key, value }) => [textOf(key), textOf(value)]).sort();
}
