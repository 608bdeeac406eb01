import { readFileSync } from 'node:fs';
import { compileModel } from '../../src/models/index.ts';
import { createFeatures } from './features/batch.ts';
import { modelValues } from './features/row.ts';
import { ALERT_FROM } from './scoring/model.ts';
import type { SourcePayment } from './traffic/source.ts';

/** What the same features and the same model find over an array in one loop: the truth that the streams have to reach. */
export interface LoopResult {
  readonly payments: number;
  /** The payments that raised an alert. */
  readonly findings: ReadonlySet<number>;
  readonly alerts: number;
  readonly trueAlerts: number;
  readonly falseAlerts: number;
  readonly missedFrauds: number;
}

const MODEL = new URL('./scoring/fraud.onnx', import.meta.url);

export function scoreInOneLoop(payments: Iterable<SourcePayment>): LoopResult {
  const model = compileModel(readFileSync(MODEL));
  const features = createFeatures();
  const findings = new Set<number>();
  const counts = { payments: 0, frauds: 0, trueAlerts: 0 };
  for (const payment of payments) {
    const data = Float32Array.from(modelValues(features(payment)));
    const { probabilities } = model.run({ features: { type: 'float32', dims: [1, data.length], data } });
    const probability = Number((probabilities as { data: Float32Array }).data[1]!.toFixed(4));
    const alerted = probability >= ALERT_FROM;
    if (alerted) findings.add(payment.id);
    counts.payments++;
    if (payment.fraud) counts.frauds++;
    if (alerted && payment.fraud) counts.trueAlerts++;
  }
  return {
    payments: counts.payments,
    findings,
    alerts: findings.size,
    trueAlerts: counts.trueAlerts,
    falseAlerts: findings.size - counts.trueAlerts,
    missedFrauds: counts.frauds - counts.trueAlerts,
  };
}
