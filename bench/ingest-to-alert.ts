import { join } from 'node:path';
import { fsyncLatency, fsyncReadings, scratchFolder } from './lib/calibration.ts';
import { bench } from './lib/harness.ts';
import { runPayments } from './lib/payments.ts';

const RATE = 5000;

await bench({
  name: 'ingest-to-alert',
  question: `How long from handing a payment to the log until its alert can be read, at ${RATE} payments a second?`,
  leavesOut: 'HTTP intake; readers outside the process. Percentiles are up to 5 % off, as their buckets are.',
  async run({ short, say }) {
    using folder = scratchFolder();
    const before = await fsyncLatency(folder.path, short ? 20 : 200);
    const seconds = short ? 5 : 60;
    say(`${seconds} s of ${RATE} made-up payments a second`);
    const args = ['--rate', String(RATE), '--for', `${seconds}s`];
    const { summary } = await runPayments(join(folder.path, 'data'), args);
    const after = await fsyncLatency(folder.path, short ? 20 : 200);
    const { p50, p99 } = summary.ingestToAlertMs;
    if (p50 === null || p99 === null) throw new Error('No payment raised an alert: nothing was measured.');
    const fsyncP99Ms = Math.max(before.p99Ms, after.p99Ms);
    return [
      ...fsyncReadings({ p50Ms: before.p50Ms, p99Ms: fsyncP99Ms }),
      { what: 'payments scored', value: summary.recordsPerSecond, unit: 'payments/s' },
      { what: 'payment to alert, p50', value: p50, unit: 'ms' },
      { what: 'payment to alert, p99', value: p99, unit: 'ms' },
      {
        what: 'payment to alert, p99 less three syncs at p99 (payment, card, then alert)',
        value: Math.max(0, p99 - 3 * fsyncP99Ms),
        unit: 'ms',
        reach: { atMost: 10 },
      },
    ];
  },
});
