// Work by the clock. Schedules are durable: a tick missed while the platform was down runs once when it is back, and
// says how many it stands for.
//   npx millrace dev examples/04-schedules/app.ts
import { cron, every, fn, stream } from 'millrace';

export const reports = stream('reports');

export const heartbeat = fn('heartbeat', { on: every('5m') }, async (tick, ctx) => {
  await ctx.emit(reports, { kind: 'heartbeat', due: tick.scheduledMs, missed: tick.missed });
});

export const nightly = fn(
  'nightly',
  { on: cron('0 3 * * *', { timezone: 'Europe/Berlin' }) },
  async (tick, ctx) => {
    await ctx.emit(reports, { kind: 'nightly', due: tick.scheduledMs, missed: tick.missed });
  },
);
