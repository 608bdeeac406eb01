import { formatBytes, formatDuration } from '../../src/kernel/index.ts';
import type { SourcePayment } from './traffic/source.ts';

/** The last line of `npm start -- --json`. */
export interface Summary {
  /** Payments scored by this run and, on a data folder that was used before, by the earlier ones. */
  readonly records: number;
  readonly seconds: number;
  readonly recordsPerSecond: number;
  /** Payments that raised an alert; true and false ones add up to it. */
  readonly alerts: number;
  readonly trueAlerts: number;
  readonly falseAlerts: number;
  readonly missedFrauds: number;
  /** Payments that were acknowledged and are not scored. */
  readonly lost: number;
  /** From handing the payment to the log until its alert can be read; null without a sample. */
  readonly ingestToAlertMs: { readonly p50: number | null; readonly p99: number | null };
  /** Null until the first labels come. */
  readonly labels: LiveLabels | null;
}

/** How the model's predictions and the labels that came a week later agree, as the platform joins them: of the latest labels. */
export interface LiveLabels {
  readonly labels: number;
  /** Of the alerts, the part that was fraud; of the frauds, the part that raised one. Null without any. */
  readonly precision: number | null;
  readonly recall: number | null;
}

/** Keeps the score: which payments were fraud, which raised alerts, and how long that took. */
export class Scoreboard {
  private readonly frauds = new Set<number>();
  private readonly alerted = new Set<number>();
  private readonly sent = new SentTimes();
  private readonly latencies = new Latencies();
  private highestId = -1;

  /** `sentMs` is undefined for payments of earlier runs, whose latency nobody can tell. */
  note(payments: readonly SourcePayment[], sentMs: number | undefined): void {
    for (const payment of payments) {
      if (payment.fraud) this.frauds.add(payment.id);
      if (payment.id > this.highestId) this.highestId = payment.id;
      if (sentMs !== undefined) this.sent.note(payment.id, sentMs);
    }
  }

  alert(alert: { readonly payment: number }, nowMs: number): void {
    this.alerted.add(alert.payment);
    const sentMs = this.sent.of(alert.payment);
    if (sentMs !== undefined) this.latencies.add(nowMs - sentMs);
  }

  /** The alerts of an earlier run are read before its payments are: who was right is told only here. */
  counts(): Pick<Summary, 'alerts' | 'trueAlerts' | 'falseAlerts' | 'missedFrauds' | 'ingestToAlertMs'> {
    // Payments from elsewhere (a `curl` to the intake) are not in the source, so nobody knows their truth.
    const judged = [...this.alerted].filter((id) => id <= this.highestId);
    const trueAlerts = judged.filter((id) => this.frauds.has(id)).length;
    return {
      alerts: judged.length,
      trueAlerts,
      falseAlerts: judged.length - trueAlerts,
      missedFrauds: this.frauds.size - trueAlerts,
      ingestToAlertMs: { p50: this.latencies.percentile(0.5), p99: this.latencies.percentile(0.99) },
    };
  }
}

/** When payments were sent. Alerts come within moments: each takes the place of one long before it. */
class SentTimes {
  private readonly ids = new Float64Array(SENT_PLACES).fill(-1);
  private readonly timesMs = new Float64Array(SENT_PLACES);

  note(id: number, sentMs: number): void {
    const place = id % SENT_PLACES;
    this.ids[place] = id;
    this.timesMs[place] = sentMs;
  }

  of(id: number): number | undefined {
    const place = id % SENT_PLACES;
    return this.ids[place] === id ? this.timesMs[place] : undefined;
  }
}

const SENT_PLACES = 2 ** 17;

/** Durations in buckets 5 % apart: constant memory, at most 5 % off. */
class Latencies {
  private readonly buckets = new Uint32Array(400);
  private total = 0;

  add(durationMs: number): void {
    const bucket = Math.round(Math.log(Math.max(durationMs, 0.01) / 0.01) / Math.log(1.05));
    this.buckets[Math.min(this.buckets.length - 1, bucket)]!++;
    this.total++;
  }

  percentile(fraction: number): number | null {
    if (this.total === 0) return null;
    let rest = Math.ceil(this.total * fraction);
    const bucket = this.buckets.findIndex((count) => (rest -= count) <= 0);
    return Number((0.01 * 1.05 ** bucket).toPrecision(3));
  }
}

export interface Live {
  readonly scored: number;
  readonly perSecond: number;
  readonly waiting: number;
  readonly eventMs: number;
  readonly elapsedMs: number;
  readonly memoryBytes: number;
  readonly labels: LiveLabels | null;
}

/** Five short lines for a terminal of 80 columns. */
export function renderLive(live: Live, scoreboard: Scoreboard): string[] {
  const { alerts, trueAlerts, missedFrauds, ingestToAlertMs } = scoreboard.counts();
  const precision = alerts === 0 ? '–' : `${Math.round((100 * trueAlerts) / alerts)} %`;
  const latency =
    ingestToAlertMs.p99 === null
      ? '–'
      : `p50 ${formatDuration(ingestToAlertMs.p50!)}, p99 ${formatDuration(ingestToAlertMs.p99)}`;
  const count = (value: number): string => Math.round(value).toLocaleString('en-US');
  return [
    `  payments  ${count(live.scored)} scored, ${count(live.perSecond)} a second, ${count(live.waiting)} waiting`,
    `  alerts    ${count(alerts)} (${precision} of them fraud), ${count(missedFrauds)} frauds without one yet`,
    `  labels    ${renderLabels(live.labels)}`,
    `  latency   ${latency} from payment to alert`,
    `  running   ${formatDuration(live.elapsedMs)}, event time ${new Date(live.eventMs).toISOString().slice(0, 16).replace('T', ' ')}, ${formatBytes(live.memoryBytes)} of memory`,
  ];
}

export function renderLabels(labels: LiveLabels | null): string {
  if (labels === null) return 'none yet: they come after a week of event time';
  const percent = (part: number | null): string => (part === null ? '–' : `${Math.round(100 * part)} %`);
  const { precision, recall } = labels;
  return `last ${labels.labels.toLocaleString('en-US')} joined: precision ${percent(precision)}, recall ${percent(recall)}`;
}
