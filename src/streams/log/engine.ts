import type { Clock, Random, Timer } from '../../kernel/index.ts';
import { MillraceError, signal } from '../../kernel/index.ts';
import { Groups, keyedMutex, Transactions } from '../coordination/index.ts';
import type { Disk } from '../disk.port.ts';
import type { LogStore } from '../port.ts';
import { type Decompress, decompressRecords } from '../record-batch/index.ts';
import { createAppender } from './appender.ts';
import { applyChange } from './apply.ts';
import { readCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { createCompactor } from './compaction.ts';
import type { Core } from './core.ts';
import { createFlusher } from './flusher.ts';
import { createGroupAdmin } from './group-admin.ts';
import { createProducerAdmin, type Producers } from './producer-admin.ts';
import { createReader } from './reader.ts';
import { type Recovered, replayWriteAhead } from './recovery.ts';
import { createRetention } from './retention.ts';
import { createSegmentFiles } from './segment-files.ts';
import { createStateStores } from './state-stores.ts';
import { createTimeSearch } from './times.ts';
import { createTopicAdmin, sweepFolders } from './topic-admin.ts';
import { Topics } from './topics.ts';
import { verifyLog } from './verify.ts';
import { createWriteAheadLog, type WriteAheadLog } from './write-ahead-log.ts';

const MEBIBYTE = 1024 * 1024;

export interface EmbeddedLogOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  /** For what must open a batch: compaction, and looking for times. Where it is called unless told. */
  readonly decompress?: Decompress;
  readonly tuning?: Partial<LogTuning>;
}

export interface LogTuning {
  /** Size of one write-ahead file. */
  readonly walFileBytes: number;
  /** A checkpoint is made when write-ahead files hold this much; twice as much is the most that recovery reads. */
  readonly checkpointBytes: number;
  /** Most bytes of one group. */
  readonly groupBytes: number;
  /** Most bytes in memory that are not in segments; appends wait beyond. */
  readonly unwrittenBytes: number;
  /** Recent batches kept for readers close to the end. */
  readonly cacheBytes: number;
  readonly flushBytes: number;
  readonly flushDelayMs: number;
  /** How long an append waits for room before UNAVAILABLE. */
  readonly appendWaitMs: number;
  readonly openFiles: number;
  readonly maintenanceMs: number;
  /** Producers without an open transaction are forgotten after this silence. */
  readonly producerIdleMs: number;
}

export const DEFAULT_LOG_TUNING: LogTuning = {
  walFileBytes: 32 * MEBIBYTE,
  checkpointBytes: 64 * MEBIBYTE,
  groupBytes: 8 * MEBIBYTE,
  unwrittenBytes: 64 * MEBIBYTE,
  cacheBytes: 16 * MEBIBYTE,
  flushBytes: 8 * MEBIBYTE,
  flushDelayMs: 1000,
  appendWaitMs: 10_000,
  openFiles: 256,
  maintenanceMs: 30_000,
  producerIdleMs: 86_400_000,
};

/** A `LogStore` on a local disk, with what its owner may ask of it beyond the port. */
export interface EmbeddedLog extends LogStore {
  /** One round of retention, compaction and expiry; also runs by itself on the clock. */
  maintain(): Promise<void>;
  /** Moves everything to segments and makes the write-ahead files free. */
  checkpoint(): Promise<void>;
}

interface Running {
  readonly core: Core;
  readonly wal: WriteAheadLog;
  readonly producers: Producers;
  readonly parts: ReturnType<typeof createGroupAdmin>;
  readonly topics: LogStore['topics'];
  readonly maintain: () => Promise<void>;
  readonly recovered: Recovered;
}

/** Opens what is on `disk`: the checkpoint, then the write-ahead files over it. */
async function open(options: EmbeddedLogOptions, tuning: LogTuning): Promise<Running> {
  const { disk, clock, random, decompress = decompressRecords } = options;
  const topics = new Topics();
  const partitionsOf = (topic: string): number | undefined => topics.find(topic)?.partitions.length;
  const checkpoint = await readCheckpoint(disk, topics);
  const groups = new Groups(clock, partitionsOf, checkpoint?.groups);
  const transactions = new Transactions(checkpoint?.transactions, clock.monotonic());
  const garbage: Core['garbage'] = [];
  const state = { topics, groups, transactions, garbage, replaying: true };
  const apply = (change: Parameters<typeof applyChange>[1]): void => applyChange(state, change, clock);
  const recovered = await replayWriteAhead(disk, topics, checkpoint?.sequence ?? 0, apply, clock.now());
  state.replaying = false;
  const files = createSegmentFiles(disk, tuning.openFiles);
  const wal = createWriteAheadLog({
    disk,
    clock,
    random,
    fileBytes: tuning.walFileBytes,
    groupBytes: tuning.groupBytes,
    firstSequence: recovered.lastSequence + 1,
    generation: recovered.generation,
    oldFiles: recovered.files,
  });
  const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const flusher = createFlusher({
    ...{ disk, clock, files, wal, ...tuning },
    writeCheckpoint: (sequence) => {
      const snapshot = { sequence, groups: groups.snapshot(), transactions: transactions.snapshot() };
      return writeCheckpoint(disk, topics, snapshot, pause);
    },
    onRoom: () => appender.onRoom(),
  });
  const appender = createAppender({
    ...{ clock, topics, wal, flusher, applyChange: apply },
    transactions: () => transactions,
    unwrittenBytes: tuning.unwrittenBytes,
    walBytes: tuning.checkpointBytes * 2,
    waitMs: tuning.appendWaitMs,
  });
  const collectGarbage = (): Promise<void> =>
    flusher.exclusively(async () => {
      for (const { partition, segment } of garbage.splice(0)) await files.remove(partition, segment);
    });
  const reader = createReader(files, clock);
  const core: Core = {
    decompress,
    ...{ disk, clock, random, topics, groups, transactions, files, flusher, appender, reader, garbage },
    mutex: keyedMutex(),
    collectGarbage,
  };
  for (const entry of recovered.entries) flusher.enqueue(entry);
  const topicAdmin = createTopicAdmin(core);
  const producers = createProducerAdmin(core);
  const states = createStateStores(core, topicAdmin);
  const parts = createGroupAdmin(core, states, producers.watchTimeouts);
  const maintain = maintenanceOf(core, wal, tuning);
  return { core, wal, producers, parts, topics: topicAdmin, maintain, recovered };
}

function maintenanceOf(core: Core, wal: WriteAheadLog, tuning: LogTuning): () => Promise<void> {
  const retention = createRetention(core);
  const compactor = createCompactor(core);
  let checkpointed = -1;
  return async () => {
    const { transactions, topics, clock } = core;
    // Retention and compaction work on segments, compaction on such as a checkpoint knows (M1).
    if (wal.durableSequence > checkpointed) await core.flusher.checkpoint();
    checkpointed = wal.durableSequence;
    const gone = transactions.expireIdle(clock.now(), tuning.producerIdleMs);
    if (gone.length > 0) await core.appender.transact(0, () => ({ batches: [], changes: gone }));
    for (const topic of [...topics.all()]) {
      for (const partition of topic.partitions) {
        partition.producers?.expire(clock.now(), tuning.producerIdleMs);
        await retention(partition);
        await compactor.compact(partition);
      }
    }
    await core.collectGarbage();
  };
}

class DiskLog implements EmbeddedLog {
  readonly #options: EmbeddedLogOptions;
  readonly #tuning: LogTuning;
  #running: Running | undefined;
  #timer: Timer | undefined;
  #stopping = false;
  readonly #partitionOf: Core['topics']['partition'] = (place) => this.#on().core.topics.partition(place);

  constructor(options: EmbeddedLogOptions) {
    this.#options = options;
    this.#tuning = { ...DEFAULT_LOG_TUNING, ...options.tuning };
  }

  readonly #on = (): Running => {
    if (this.#running) return this.#running;
    throw new MillraceError('UNAVAILABLE', 'The log is not open. Start it first.');
  };

  readonly #maintainLater = (): void => {
    if (this.#stopping) return;
    this.#timer = this.#options.clock.after(this.#tuning.maintenanceMs, () => {
      const round = this.#on().maintain();
      void round
        .catch((error) => {
          const message = 'A round of retention and compaction failed; the next one tries again.';
          signal('platform.log', { level: 'warn', room: 'streams', message, error });
        })
        .then(this.#maintainLater);
    });
  };

  readonly #times = (): ReturnType<typeof createTimeSearch> =>
    createTimeSearch(this.#on().core.files, this.#on().core.decompress);

  readonly name: EmbeddedLog['name'] = 'log';

  get topics(): EmbeddedLog['topics'] {
    return this.#on().topics;
  }

  get groups(): EmbeddedLog['groups'] {
    return this.#on().parts.groups;
  }

  get producers(): EmbeddedLog['producers'] {
    return this.#on().producers;
  }

  readonly start: EmbeddedLog['start'] = async () => {
    this.#running = await open(this.#options, this.#tuning);
    await sweepFolders(this.#running.core);
    await this.#running.core.collectGarbage();
    this.#running.producers.watchTimeouts();
    this.#maintainLater();
  };

  readonly refuse: EmbeddedLog['refuse'] = () => {
    this.#running?.core.appender.refuse();
  };

  readonly stop: EmbeddedLog['stop'] = async () => {
    if (!this.#running || this.#stopping) return;
    this.#stopping = true;
    this.#timer?.cancel();
    const { core, wal, producers } = this.#running;
    producers.stop();
    core.appender.refuse();
    core.groups.close();
    await wal.idle();
    // What cannot be written now is in the write-ahead files, and the next start finds it there.
    await core.flusher.checkpoint().catch((error) => {
      const message = 'The last checkpoint failed; the next start takes a little longer.';
      signal('platform.log', { level: 'warn', room: 'streams', message, error });
    });
    await core.flusher.stop();
    await core.files.close();
    await wal.close();
  };

  readonly append: EmbeddedLog['append'] = async (input) => this.#on().core.appender.append(input);

  readonly fetch: EmbeddedLog['fetch'] = async (request) =>
    this.#on().core.reader.fetch(this.#partitionOf(request), request);

  readonly watch: EmbeddedLog['watch'] = (places, onAdvance) => {
    const partitions = places.map(this.#partitionOf);
    let told = false;
    const watcher = (): void => {
      if (told) return;
      told = true;
      setImmediate(() => {
        told = false;
        if (active) onAdvance();
      });
    };
    let active = true;
    for (const partition of partitions) (partition.watchers ??= new Set()).add(watcher);
    return () => {
      active = false;
      for (const partition of partitions) partition.watchers?.delete(watcher);
    };
  };

  readonly offsetForTime: EmbeddedLog['offsetForTime'] = async (place, timeMs) =>
    this.#times().firstAtOrAfter(this.#partitionOf(place), timeMs);

  readonly offsetForMaxTime: EmbeddedLog['offsetForMaxTime'] = async (place) =>
    this.#times().latest(this.#partitionOf(place));

  readonly bounds: EmbeddedLog['bounds'] = (place) => this.#partitionOf(place).bounds();

  readonly deleteRecords: EmbeddedLog['deleteRecords'] = async (place, offset) => {
    const { core } = this.#on();
    const partition = this.#partitionOf(place);
    const target = offset === -1 ? partition.durableEnd : offset;
    if (!Number.isInteger(target) || target < 0 || target > partition.durableEnd) {
      const range = `up to ${partition.durableEnd}`;
      throw new MillraceError(
        'OFFSET_OUT_OF_RANGE',
        `'${place.topic}' partition ${place.partition} has offsets ${range}, not ${target}.`,
      );
    }
    if (target > partition.logStart) {
      const { number } = partition.topic;
      const change = { kind: 'start', number, partition: partition.index, offset: target } as const;
      await core.appender.transact(0, () => ({ batches: [], changes: [change] }));
      await core.collectGarbage();
    }
    return partition.logStart;
  };

  readonly join: EmbeddedLog['join'] = async (group, topics, joinOptions) =>
    this.#on().parts.join(group, topics, joinOptions);

  readonly verify: EmbeddedLog['verify'] = async (onProgress) =>
    verifyLog(this.#on().core, this.#on().recovered.damages, onProgress);

  readonly maintain: EmbeddedLog['maintain'] = async () => this.#on().maintain();

  readonly checkpoint: EmbeddedLog['checkpoint'] = async () => this.#on().core.flusher.checkpoint();
}

/** The log on a local disk. Nothing is read or written before `start`. See `docs/log.md`. */
export function createEmbeddedLog(options: EmbeddedLogOptions): EmbeddedLog {
  return new DiskLog(options);
}
