import { MillraceError, siblingModule, type Workers } from '../../kernel/index.ts';
import { INTERNAL_PREFIX } from '../definitions/names.ts';
import type { OpenStream, Registry } from '../definitions/registry.ts';
import type { AppendInput, AppendResult, LogStore, TopicPartition } from '../port.ts';
import { ensureInvalidStream } from '../publish/divert.ts';
import { batchInvalid } from '../record-batch/header.ts';
import { type BatchHeader, type Compression, crcMatches, readBatchHeader } from '../record-batch/index.ts';
import type { Streams } from '../service.ts';
import type { BatchRules, BatchVerdict, RecordFailure } from './check-batch.ts';
import { type CheckBatchInput, checkAndPack } from './check-batch-task.ts';

/** What has to be looked at before a batch of a stream is appended; nothing of both: it passes. */
interface Treatment {
  readonly rules: BatchRules | undefined;
  readonly compression: Compression | undefined;
}

interface ProduceParts {
  readonly log: LogStore;
  readonly registry: Registry;
  readonly workers?: Workers | undefined;
}

/** A larger batch is checked by a platform worker; so is every compressed one, whose size nobody knows before. */
const NEAR_BYTES = 16 * 1024;
/** The checksum of more than this takes milliseconds. */
const NEAR_CHECKSUM_BYTES = 2 * 1024 * 1024;
const SEQUENCE_SPAN = 2 ** 31;
/** Batches that workers have at a time; the others wait here, as many as their connections may have in flight. */
const APART_AT_MOST = 64;
const TASK = { module: siblingModule(import.meta.url, './check-batch-task'), task: 'checkBatchApart' };

/**
 * Batches of Kafka producers on their way into the log.
 *
 * A1 A batch of a stream that has neither schema nor key path, is not compacted and takes any packing, passes unopened.
 * A2 Where records are refused, one that does not fit refuses its batch as a whole: RECORD_INVALID, paths `/<index>…`.
 * A3 Where they are diverted, those that fit are appended as one batch that keeps the offsets and sequences of the whole, so that its
 *    producer's acknowledged offsets are right and the batch sent again is recognised. Those that do not fit are
 *    durable in `<stream>.invalid` before: a failure in between may leave them there twice, never nowhere.
 * A4 Batches of a partition are appended in the order of the calls, however long each is checked.
 * A5 Where the topic says how batches are packed, those that come otherwise are packed anew, with the offsets, sequences and times of
 *    what came.
 */
export function createProduce(parts: ProduceParts): Streams['produce'] {
  const producer = new BatchProducer(parts);
  return (input) => producer.produce(input);
}

/** What to check; undefined where there is nothing. */
function rulesOf({ topic, settings, keyPath, schema }: OpenStream): BatchRules | undefined {
  const compacted = settings.cleanup !== 'delete';
  const json = schema !== undefined || keyPath !== undefined;
  if (!json && !compacted) return undefined;
  const divert = settings.onInvalid === 'divert';
  return { stream: topic.name, json, pointer: keyPath?.pointer, compacted, divert };
}

class BatchProducer {
  readonly #log: LogStore;
  readonly #registry: Registry;
  readonly #workers: Workers | undefined;
  readonly #treatments = new WeakMap<OpenStream, Treatment>();
  /** The last batch of each partition that is not with the log yet (A4). */
  readonly #turns = new Map<string, Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  #apart = 0;

  constructor({ log, registry, workers }: ProduceParts) {
    this.#log = log;
    this.#registry = registry;
    this.#workers = workers;
  }

  produce(input: AppendInput): Promise<AppendResult> {
    try {
      return this.#produce(input);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #produce(input: AppendInput): Promise<AppendResult> {
    if (input.topic.startsWith(INTERNAL_PREFIX)) throw internal(input.topic);
    const stream = this.#registry.open(input.topic);
    const treatment = this.#treatmentOf(stream);
    const opened = treatment.rules !== undefined || treatment.compression !== undefined;
    const place = this.#turns.size > 0 || opened ? `${input.topic}/${input.partition}` : '';
    if (!opened && !this.#isLarge(input) && !this.#turns.has(place)) return this.#log.append(input);
    return this.#inTurn(
      place || `${input.topic}/${input.partition}`,
      this.#check(stream, treatment, input),
      (verdict) => this.#appendChecked(stream, input, verdict),
    );
  }

  #treatmentOf(stream: OpenStream): Treatment {
    let treatment = this.#treatments.get(stream);
    if (!treatment) {
      const { compression } = stream.topic.config;
      treatment = {
        rules: rulesOf(stream),
        compression: compression === 'producer' ? undefined : compression,
      };
      this.#treatments.set(stream, treatment);
    }
    return treatment;
  }

  #isLarge({ batch, trusted }: AppendInput): boolean {
    return batch.length > NEAR_CHECKSUM_BYTES && !trusted && this.#workers !== undefined;
  }

  /** Checks begin at once and side by side; what follows from them waits for the batches before (A4). */
  async #inTurn(
    place: string,
    check: Promise<BatchVerdict | undefined>,
    append: (verdict: BatchVerdict | undefined) => Promise<{ result: Promise<AppendResult> }>,
  ): Promise<AppendResult> {
    // Its failure is told when its turn comes.
    check.catch(() => undefined);
    const before = this.#turns.get(place) ?? Promise.resolve();
    const appended = before.then(() => check).then(append);
    const turn = appended.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(place, turn);
    void turn.then(() => {
      if (this.#turns.get(place) === turn) this.#turns.delete(place);
    });
    return (await appended).result;
  }

  /** Undefined: nothing was looked at, not the checksum either. */
  async #check(
    stream: OpenStream,
    treatment: Treatment,
    input: AppendInput,
  ): Promise<BatchVerdict | undefined> {
    const { batch } = input;
    const header = readBatchHeader(batch);
    const { rules, compression = header.compression } = treatment;
    const opened = rules !== undefined || compression !== header.compression;
    if (!opened && !this.#isLarge(input)) return undefined;
    if (this.#workers && (batch.length > NEAR_BYTES || header.compression !== 'none'))
      return this.#checkApart(stream, treatment, batch);
    if (!opened) return undefined;
    if (!input.trusted && !crcMatches(batch)) throw batchInvalid('its CRC does not match its bytes');
    return checkAndPack({ batch, rules, compression }, stream.schema?.()?.problems);
  }

  async #checkApart(
    { topic, settings, definition }: OpenStream,
    treatment: Treatment,
    whole: Uint8Array,
  ): Promise<BatchVerdict> {
    if (this.#apart >= APART_AT_MOST) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#apart++;
    try {
      const batch = new Uint8Array(whole);
      const id = `${topic.id} ${definition?.schemaVersion ?? 0}`;
      const schema = settings.schema === undefined ? undefined : { id, json: settings.schema };
      const input: CheckBatchInput = { batch, ...treatment, schema };
      return await this.#workers!.run<BatchVerdict>(TASK, input, { transfer: [batch.buffer] });
    } finally {
      this.#apart--;
      this.#waiting.shift()?.();
    }
  }

  /** Resolves once the log has the batch in its order; `result` once it is as durable as asked. */
  async #appendChecked(
    stream: OpenStream,
    input: AppendInput,
    verdict: BatchVerdict | undefined,
  ): Promise<{ result: Promise<AppendResult> }> {
    if (!verdict) return { result: this.#log.append(input) };
    if (verdict.failed.length > 0 && !verdict.parted) throw refused(input.topic, verdict);
    if (!verdict.parted) return { result: this.#log.append({ ...input, trusted: true }) };
    const { accepted, diverted } = verdict.parted;
    const isNew = diverted.length > 0 && !this.#isLate(input, readBatchHeader(accepted));
    if (isNew) await this.#divert(stream, diverted);
    return { result: this.#log.append({ ...input, batch: accepted, trusted: true }) };
  }

  async #divert(stream: OpenStream, batches: readonly Uint8Array[]): Promise<void> {
    const topic = await ensureInvalidStream({ log: this.#log, registry: this.#registry }, stream);
    await Promise.all(
      batches.map((batch) => this.#log.append({ topic, partition: 0, batch, trusted: true })),
    );
  }

  /** Whether the log had this batch before, or will refuse it as fenced: then what does not fit was diverted before. */
  #isLate(place: TopicPartition, { producerId, producerEpoch, baseSequence }: BatchHeader): boolean {
    if (producerId < 0) return false;
    const known = this.#log.producers.active(place).find((one) => one.producerId === producerId);
    if (!known || known.epoch !== producerEpoch) return known !== undefined && known.epoch > producerEpoch;
    // Sequences are 31 bits and start again at 0.
    return (known.lastSequence - baseSequence + SEQUENCE_SPAN) % SEQUENCE_SPAN < SEQUENCE_SPAN / 2;
  }
}

function internal(topic: string): MillraceError {
  const message = `Only the platform writes to '${topic}'. Publish to a stream of your own.`;
  return new MillraceError('FORBIDDEN', message);
}

function refused(topic: string, { failed, count }: BatchVerdict): MillraceError {
  const { index, errors } = failed[0] as RecordFailure;
  const { path, message } = errors[0]!;
  const which = failed.length === 1 ? 'a record does' : `${failed.length} of ${count} records do`;
  return new MillraceError(
    'RECORD_INVALID',
    `The batch for '${topic}' is refused, because ${which} not fit: record ${index} ${path} ${message}.`,
    {
      errors: failed.flatMap((one) =>
        one.errors.map((problem) => ({ path: `/${one.index}${problem.path}`, message: problem.message })),
      ),
    },
  );
}
