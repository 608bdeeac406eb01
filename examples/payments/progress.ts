import type { Platform } from '../../src/main.ts';
import { CARD, Lead, TERMINAL } from './lead.ts';
import type { Live, LiveLabels, Scoreboard, Summary } from './summary.ts';
import type { FeedState } from './traffic/feed.ts';

/** The consumer groups on a payment's way to its score, and those that keep the cases, with the stream each reads. */
const SCORERS = [CARD, TERMINAL] as const;
const READERS = [
  ...SCORERS,
  { group: 'cases.open-case', stream: 'alerts' },
  { group: 'cases.note-verdict', stream: 'verdicts' },
] as const;

/** The feed stays at most this far ahead of the scorers. */
const AHEAD_RECORDS = 10_000;
const MODEL = 'fraud';
const FEW_LABELS = 200;
/** How long the platform may take to finish what it was given without getting any further. */
const STALLED_MS = 30_000;

/** Where the run stands, read from the log itself: positions of consumer groups, ends of streams, alerts. */
export class Progress {
  private readonly platform: Platform;
  private readonly scoreboard: Scoreboard;
  private readonly feed: FeedState;
  private readonly beginMs = performance.now();
  private readonly lead: Lead;
  private readonly following = new AbortController();
  private alertsRead = 0;
  private alertsDone: Promise<void> = Promise.resolve();
  private last = { scored: 0, atMs: performance.now() };

  constructor(platform: Platform, scoreboard: Scoreboard, feed: FeedState) {
    this.platform = platform;
    this.scoreboard = scoreboard;
    this.feed = feed;
    this.lead = new Lead(platform);
  }

  /** Reads the alerts while `work` runs, those of earlier runs first. */
  async follow(work: () => Promise<void>): Promise<void> {
    this.alertsDone = this.readAlerts();
    await work();
  }

  stop(): void {
    this.following.abort();
  }

  /** Resolves when the scorers have come close enough for the feed to send payments of that time, or when the signal fires. */
  async room(atMs: number, signal: AbortSignal): Promise<void> {
    await this.lead.room(atMs, signal);
    while (this.waiting() > AHEAD_RECORDS && !signal.aborted) await pause(2);
  }

  /** Resolves when every payment is scored and every alert read, or when nothing moves any more. */
  async drained(): Promise<Summary> {
    let left = this.left();
    let movedMs = performance.now();
    while (left > 0 && performance.now() - movedMs < STALLED_MS) {
      await pause(5);
      const now = this.left();
      if (now !== left) movedMs = performance.now();
      left = now;
    }
    const seconds = (performance.now() - this.beginMs) / 1000;
    this.stop();
    await this.alertsDone;
    const records = this.payments();
    // The platform joins labels once a second: those of the last second are still to come.
    await this.platform.models.operations.labels.settled();
    return {
      records,
      seconds: Number(seconds.toFixed(3)),
      recordsPerSecond: Math.round((records - this.feed.resumed) / seconds),
      ...this.scoreboard.counts(),
      lost: this.lost(),
      labels: this.labels(),
    };
  }

  /** What the labels that came a week later say of the version that is in production. */
  private labels(): LiveLabels | null {
    const { models } = this.platform;
    const production = models.registry.find(MODEL)?.aliases.production;
    const shown = models.operations.labels
      .show(MODEL)
      ?.versions.find(({ version }) => version === production);
    // The window that is filling says little at first.
    const metrics = shown && (shown.last && shown.now.labels < FEW_LABELS ? shown.last : shown.now);
    if (!metrics || metrics.labels === 0) return null;
    const { labels, precision, recall } = metrics;
    return { labels, precision, recall };
  }

  live(): Live {
    const scored = this.payments();
    const nowMs = performance.now();
    const perSecond = ((scored - this.last.scored) * 1000) / Math.max(1, nowMs - this.last.atMs);
    this.last = { scored, atMs: nowMs };
    return {
      scored,
      perSecond,
      waiting: this.waiting(),
      eventMs: this.feed.eventMs,
      elapsedMs: nowMs - this.beginMs,
      memoryBytes: process.memoryUsage.rss(),
      labels: this.labels(),
    };
  }

  /** Payments that have their scores; frauds that became known stand in the same stream, and were published once each. */
  private payments(): number {
    return Math.max(0, this.scored(TERMINAL) - this.feed.frauds);
  }

  /** Payments that were acknowledged and are not scored. */
  private lost(): number {
    const behind = SCORERS.map((way) => this.end(way.stream) - this.scored(way));
    const dead = SCORERS.map(({ group }) => this.end(`${group.slice(group.indexOf('.') + 1)}.dlq`));
    const missing = Math.max(0, this.feed.acknowledged - this.end('payments'));
    return [...behind, ...dead].reduce((sum, each) => sum + each, missing);
  }

  private waiting(): number {
    return SCORERS.reduce((sum, way) => sum + this.end(way.stream) - this.scored(way), 0);
  }

  private left(): number {
    const behind = READERS.map((way) => this.end(way.stream) - this.scored(way));
    return behind.reduce((sum, each) => sum + each, this.end('alerts') - this.alertsRead);
  }

  /** Records of a stream that a group is done with; the streams of the example begin at offset 0 and keep everything. */
  private scored({ group, stream }: { readonly group: string; readonly stream: string }): number {
    let done = 0;
    for (const position of this.platform.streams.log.groups.offsets(group)) {
      if (position.topic === stream) done += position.offset + position.done.length;
    }
    return done;
  }

  private end(stream: string): number {
    const topic = this.platform.streams.log.topics.find(stream);
    let records = 0;
    for (let partition = 0; partition < (topic?.partitions ?? 0); partition++) {
      records += this.platform.streams.log.bounds({ topic: stream, partition }).highWatermark;
    }
    return records;
  }

  private async readAlerts(): Promise<void> {
    const decoder = new TextDecoder();
    const { signal } = this.following;
    for await (const record of this.platform.streams.follow('alerts', { from: 'start', signal })) {
      this.alertsRead++;
      const alert = JSON.parse(decoder.decode(record.value!)) as { payment: number };
      this.scoreboard.alert(alert, performance.now());
    }
  }
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
