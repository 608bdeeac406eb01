import {
  type CardState,
  learnFraud,
  observeCard,
  observeTerminal,
  type TerminalState,
} from './scoring/features.ts';
import { judgeCard, judgeTerminal } from './scoring/rules.ts';
import type { SourcePayment } from './traffic/source.ts';

const LABEL_DELAY_MS = 7 * 86_400_000;

/** What the same features and rules find over an array in one loop: the truth that the streams have to reach. */
export interface LoopResult {
  readonly payments: number;
  /** One entry per finding: payment and rule. */
  readonly findings: ReadonlySet<string>;
  readonly alerts: number;
  readonly trueAlerts: number;
  readonly falseAlerts: number;
  readonly missedFrauds: number;
}

export function scoreInOneLoop(payments: Iterable<SourcePayment>): LoopResult {
  const cards = new Map<string, CardState>();
  const terminals = new Map<string, TerminalState>();
  const labels: { dueMs: number; atMs: number; terminal: string }[] = [];
  let nextLabel = 0;
  const findings = new Set<string>();
  const counts = { payments: 0, frauds: 0, trueAlerts: 0, falseAlerts: 0 };
  for (const { id, atMs, card, terminal, amount, fraud } of payments) {
    for (; nextLabel < labels.length && labels[nextLabel]!.dueMs <= atMs; nextLabel++) {
      const label = labels[nextLabel]!;
      terminals.set(label.terminal, learnFraud(terminals.get(label.terminal), label.atMs));
    }
    const seenCard = observeCard(cards.get(card), amount, atMs);
    cards.set(card, seenCard.next);
    const seenTerminal = observeTerminal(terminals.get(terminal), atMs);
    terminals.set(terminal, seenTerminal.next);
    const found = [judgeCard(amount, seenCard.features), judgeTerminal(seenTerminal.features)];
    for (const finding of found) if (finding) findings.add(`${id} ${finding.rule}`);
    const alerted = found.some((finding) => finding !== undefined);
    counts.payments++;
    if (fraud) {
      counts.frauds++;
      labels.push({ dueMs: atMs + LABEL_DELAY_MS, atMs, terminal });
    }
    if (alerted) fraud ? counts.trueAlerts++ : counts.falseAlerts++;
  }
  return {
    payments: counts.payments,
    findings,
    alerts: counts.trueAlerts + counts.falseAlerts,
    trueAlerts: counts.trueAlerts,
    falseAlerts: counts.falseAlerts,
    missedFrauds: counts.frauds - counts.trueAlerts,
  };
}
