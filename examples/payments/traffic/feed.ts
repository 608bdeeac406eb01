import {
  type PublishRecord,
  partitionOfKey,
  type ReadRecord,
  type RecordHeader,
  type Streams,
} from '../../../src/streams/index.ts';
import { knownAtMs } from '../features/batch.ts';
import type { Source, SourcePayment } from './source.ts';

/** Where the feed stands; one object, updated in place. */
export interface FeedState {
  /** Payments acknowledged by the log, those of earlier runs on this data folder included. */
  acknowledged: number;
  /** Of these, how many earlier runs had brought in. */
  resumed: number;
  /** Frauds that have become known so far, those of earlier runs included. */
  frauds: number;
  /** Event time of the latest payment. */
  eventMs: number;
  finished: boolean;
}

export interface FeedOptions {
  readonly streams: Streams;
  readonly source: Source;
  /** Payments a second, 'max', or 'recorded' for the source's own clock. */
  readonly rate: number | 'max' | 'recorded';
  readonly signal: AbortSignal;
  readonly state: FeedState;
  /** Sees every payment: the truth for the summary, and when it was sent. */
  readonly onPayments: (payments: readonly SourcePayment[], sentMs: number | undefined) => void;
  /** Resolves when payments of that event time may be sent: the feed stays at most so far ahead of the scorers. */
  readonly room: (atMs: number, signal: AbortSignal) => Promise<void>;
}

const DAY_MS = 86_400_000;
/** Small enough that a paced feed is smooth, large enough that pacing costs nothing. */
const TICK_MS = 5;

/**
 * Publishes payments to `payments`, in the order of the source, and a week of event time after a fraud tells of it in
 * `terminal-events`.
 *
 * F1 Every record carries its place in the source as a header. After a crash the feed reads the last place back from
 *    each partition and leaves out what is already there, so each payment is in each stream once.
 */
export async function feed(options: FeedOptions): Promise<void> {
  const { streams, signal, state } = options;
  const [payments, terminals] = await Promise.all([
    door(streams, 'payments'),
    door(streams, 'terminal-events'),
  ]);
  const labels = new Labels();
  const pace = pacer(options.rate);

  for await (const chunk of options.source) {
    for (let from = 0; from < chunk.length && !signal.aborted; ) {
      const resuming = chunk[from]!.row <= Math.max(payments.newest, terminals.newest);
      const count = resuming ? chunk.length - from : await pace(ofOneDay(chunk, from), from, signal);
      const slice = chunk.slice(from, from + count);
      from += count;
      if (slice.length === 0) continue;
      if (!resuming) await options.room(slice[0]!.atMs, signal);
      if (signal.aborted) break;
      const fresh = await send(payments, terminals, labels, slice, (sentMs) =>
        options.onPayments(slice, resuming ? undefined : sentMs),
      );
      state.acknowledged += slice.length;
      state.resumed += slice.length - fresh;
      state.frauds = labels.told;
      state.eventMs = slice.at(-1)!.atMs;
    }
    if (signal.aborted) break;
  }
  state.finished = true;
}

/** The chunk up to the end of the day of the payment at `from`. */
function ofOneDay(chunk: readonly SourcePayment[], from: number): readonly SourcePayment[] {
  const day = Math.floor(chunk[from]!.atMs / DAY_MS);
  const end = chunk.findIndex(({ atMs }, place) => place > from && Math.floor(atMs / DAY_MS) > day);
  return end < 0 ? chunk : chunk.slice(0, end);
}

async function send(
  payments: Door,
  terminals: Door,
  labels: Labels,
  slice: readonly SourcePayment[],
  onSend: (sentMs: number) => void,
): Promise<number> {
  const toPayments: PublishRecord[] = [];
  const toTerminals: PublishRecord[] = [];
  for (const payment of slice) {
    const { id, at, atMs, card, terminal, amount, row } = payment;
    for (const { order, ...known } of labels.due(atMs)) {
      const event = { kind: 'fraud', ...known };
      terminals.add(toTerminals, known.terminal, event, placeHeader(row, order), row, order);
    }
    labels.note(payment);
    const value = { id, at, card, terminal, amount };
    payments.add(toPayments, card, value, placeHeader(row), row, AFTER_LABELS);
  }
  // What is known of a terminal when a payment is made is there before the payment.
  await terminals.publish(toTerminals);
  onSend(performance.now());
  await payments.publish(toPayments);
  return toPayments.length;
}

interface KnownFraud {
  readonly order: number;
  readonly id: number;
  readonly at: string;
  readonly card: string;
  readonly terminal: string;
}

const NONE: readonly KnownFraud[] = [];

/** Frauds become known a week after they happened. */
class Labels {
  private queue: { readonly dueMs: number; readonly known: KnownFraud }[] = [];
  private head = 0;
  private count = 0;
  private gone = 0;
  /** How many have become known. */
  told = 0;

  note({ id, at, atMs, card, terminal, fraud }: SourcePayment): void {
    if (!fraud) return;
    // Copies: a text that was cut from the source keeps all that it was cut from in memory, here for a week.
    const texts = { at: copied(at), card: copied(card), terminal: copied(terminal) };
    this.queue.push({ dueMs: knownAtMs(atMs), known: { order: this.count++, id, ...texts } });
  }

  due(nowMs: number): readonly KnownFraud[] {
    let end = this.head;
    while (end < this.queue.length && this.queue[end]!.dueMs <= nowMs) end++;
    if (end === this.head) return NONE;
    const due = this.queue.slice(this.head, end).map(({ known }) => known);
    this.head = end;
    this.told = this.gone + this.head;
    if (this.head < 1000) return due;
    this.queue = this.queue.slice(this.head);
    this.gone += this.head;
    this.head = 0;
    return due;
  }
}

const copied = (text: string): string => JSON.parse(JSON.stringify(text)) as string;

/** The order of a payment within its row: the labels that its time brings come before it. */
const AFTER_LABELS = Number.MAX_SAFE_INTEGER;

function placeHeader(row: number, order?: number): readonly RecordHeader[] {
  return [{ key: 'row', value: Buffer.from(order === undefined ? String(row) : `${row} ${order}`) }];
}

/** A place in the source: the row, and within it the label before the payment. */
interface Place {
  readonly row: number;
  readonly order: number;
}

interface Door {
  /** The highest row that any partition holds already. */
  readonly newest: number;
  add(
    batch: PublishRecord[],
    key: string,
    value: object,
    place: readonly RecordHeader[],
    row: number,
    order: number,
  ): void;
  publish(batch: readonly PublishRecord[]): Promise<void>;
}

async function door(streams: Streams, name: string): Promise<Door> {
  const { partitions } = streams.describe(name);
  const last = await Promise.all(
    Array.from({ length: partitions }, (_, partition) => lastPlace(streams, name, partition)),
  );
  const newest = Math.max(...last.map((place) => place.row));
  const encoder = new TextEncoder();
  return {
    newest,
    add(batch, key, value, place, row, order) {
      if (row <= newest) {
        const there = last[partitionOfKey(encoder.encode(key), partitions)]!;
        if (row < there.row || (row === there.row && order <= there.order)) return;
      }
      batch.push({ value: { json: value as never }, headers: place });
    },
    async publish(batch) {
      if (batch.length > 0) await streams.publish(name, batch);
    },
  };
}

/** Reads backwards until a record of the feed: others (a `curl` to the intake) may stand after it. */
async function lastPlace(streams: Streams, topic: string, partition: number): Promise<Place> {
  const { logStartOffset, highWatermark } = streams.log.bounds({ topic, partition });
  for (let end = highWatermark; end > logStartOffset; end -= 1000) {
    const from = Math.max(logStartOffset, end - 1000);
    const { records } = await streams.read({ topic, partition }, from, {
      limit: end - from,
      maxBytes: 16 * 1024 * 1024,
    });
    const found = records
      .toReversed()
      .map(placeOf)
      .find((place) => place !== undefined);
    if (found) return found;
  }
  return { row: -1, order: -1 };
}

function placeOf(record: ReadRecord): Place | undefined {
  const header = record.headers.find((each) => each.key === 'row')?.value;
  if (!header) return undefined;
  const [row, order] = new TextDecoder().decode(header).split(' ');
  return { row: Number(row), order: order === undefined ? AFTER_LABELS : Number(order) };
}

/** Says how many of the next payments may go now, waiting until it is at least one. */
function pacer(
  rate: FeedOptions['rate'],
): (chunk: readonly SourcePayment[], from: number, signal: AbortSignal) => Promise<number> {
  if (rate === 'max') return async (chunk, from) => chunk.length - from;
  const beginMs = performance.now();
  let sent = 0;
  let firstEventMs: number | undefined;
  return async (chunk, from, signal) => {
    firstEventMs ??= chunk[from]!.atMs;
    for (;;) {
      if (signal.aborted) return 0;
      const elapsedMs = performance.now() - beginMs;
      const count =
        rate === 'recorded'
          ? chunk.slice(from).findIndex((payment) => payment.atMs - firstEventMs! > elapsedMs)
          : Math.floor((elapsedMs * rate) / 1000) - sent;
      const allowed =
        rate === 'recorded' && count < 0 ? chunk.length - from : Math.min(count, chunk.length - from);
      if (allowed > 0) {
        sent += allowed;
        return allowed;
      }
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
  };
}
