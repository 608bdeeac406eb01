import { isMillraceError } from '../../src/kernel/index.ts';
import type { Platform } from '../../src/main.ts';

const LOOK_MS = 500;
/** Fraud is rare: of fewer rows the first model of one's own would be worse than the one that is shipped. */
const ENOUGH_ROWS = 5000;

/** `--retrain`: begins to train the model anew once enough labels of the payments that run through have come. Once a run. */
export async function retrainOnce(platform: Platform, signal: AbortSignal): Promise<void> {
  const { streams, models } = platform;
  const rows = (): number =>
    streams.describe('labelled-payments').bounds.reduce((sum, { highWatermark }) => sum + highWatermark, 0);
  while (rows() < ENOUGH_ROWS) {
    if (signal.aborted) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  try {
    await models.operations.retraining.begin('fraud', 'npm start --retrain');
  } catch (error) {
    // Drift has begun one already.
    if (!isMillraceError(error, 'CONFLICT')) throw error;
  }
}
