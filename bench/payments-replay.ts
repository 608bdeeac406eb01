import { join } from 'node:path';
import { fsyncLatency, fsyncReadings, scratchFolder } from './lib/calibration.ts';
import { bench, median } from './lib/harness.ts';
import { paymentsSource, runPayments, takePayments, timeLoop } from './lib/payments.ts';

const ROWS = 1_300_000;
const SHORT_ROWS = 50_000;

await bench({
  name: 'payments-replay',
  question:
    'How many payments a second does `npm start` take in, see by card and by terminal, score by the model and commit (three syncs on the way), and what memory does it take?',
  leavesOut:
    'HTTP intake (payments are published in the process); the start. The loop keeps nothing on disk and survives nothing; the loop tells no verdicts and keeps no sample to learn from.',
  async run({ short, say }) {
    using folder = scratchFolder();
    const fsync = await fsyncLatency(folder.path, short ? 20 : 200);
    const { name, source } = paymentsSource();
    const file = join(folder.path, 'payments.csv');
    const payments = await takePayments(source, short ? SHORT_ROWS : ROWS, file);
    say(`${payments.length} ${name}`);
    const { result: loop, perSecond } = timeLoop(payments);
    const rows = payments.length;
    payments.length = 0;
    const { summary, residentBytes } = await runPayments(join(folder.path, 'data'), [
      '--replay',
      file,
      '--rate',
      'max',
    ]);
    for (const count of ['alerts', 'trueAlerts', 'falseAlerts', 'missedFrauds'] as const) {
      if (summary[count] === loop[count]) continue;
      throw new Error(`${count}: the platform found ${summary[count]}, the loop ${loop[count]}.`);
    }
    if (summary.records !== rows) throw new Error(`${summary.records} of ${rows} payments were scored.`);
    const memory = (from: number, to: number): number =>
      median(residentBytes.slice(residentBytes.length * from, residentBytes.length * to));
    return [
      ...fsyncReadings(fsync),
      { what: 'calibration: the same in one loop over an array', value: perSecond, unit: 'payments/s' },
      {
        what: 'payments scored, durable',
        value: summary.recordsPerSecond,
        unit: 'payments/s',
        reach: { atLeast: 50_000 },
      },
      { what: 'of the loop', value: summary.recordsPerSecond / perSecond, unit: 'ratio' },
      {
        what: 'memory, most',
        value: Math.max(...residentBytes) / 1e6,
        unit: 'MB',
        reach: { atMost: 400 },
      },
      {
        what: 'memory, last fifth over second fifth',
        value: memory(0.8, 1) / memory(0.2, 0.4),
        unit: 'ratio',
        reach: { atMost: 1.1 },
      },
      { what: 'alerts, the same as the loop raised', value: summary.alerts, unit: 'payments' },
    ];
  },
});
