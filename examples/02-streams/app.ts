// From stream to stream. What a function emits and the position it has read to are one commit: whatever crashes when,
// each reading is converted once.
//   npx millrace dev examples/02-streams/app.ts
//   npx millrace emit celsius --data '{"sensor":"attic","degrees":31.5}'
//   npx millrace tail fahrenheit
import { fn, stream } from 'millrace';
import * as v from 'valibot';

const Reading = v.object({ sensor: v.string(), degrees: v.number() });

export const celsius = stream('celsius', { schema: Reading, key: 'sensor', partitions: 2 });
export const fahrenheit = stream('fahrenheit', { schema: Reading, key: 'sensor', partitions: 2 });

export const convert = fn('convert', { on: celsius }, async (record, ctx) => {
  const { sensor, degrees } = record.value;
  await ctx.emit(fahrenheit, { sensor, degrees: degrees * 1.8 + 32 });
});
