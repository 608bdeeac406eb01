import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fsyncLatency, fsyncReadings, scratchFolder } from './lib/calibration.ts';
import { type DevProgram, startDev } from './lib/dev-program.ts';
import { bench, median, percentile } from './lib/harness.ts';

/** Two modules that each say which save they come from: an answer that names two is a mix. */
const part = (save: number): string => `export const part = ${save};\n`;
const app = (save: number): string => `import { fn, http, stream } from 'millrace';
import * as v from 'valibot';
import { part } from './part.ts';

const Order = v.object({ id: v.string(), amount: v.number() });
export const orders = stream('orders', { schema: Order, key: 'id', partitions: 4 });
export const version = fn('version', { on: http.get('/version'), env: { SAVE: '${save}' } }, () => ({
  body: { app: ${save}, part },
}));
export const place = fn('place', { on: http.post('/orders', { body: Order }) }, async (request, ctx) => {
  await ctx.emit(orders, request.body);
  return { status: 202 };
});
export const handle = fn('handle', { on: orders, batch: { size: 100 } }, async (records, ctx) => {
  for (const record of records) ctx.log.info('order', { id: record.value.id });
});
`;

interface Answer {
  readonly app: number;
  readonly part: number;
}

/** What the running version says: over the edge port where it is open, else as the API describes it. */
async function ask({ api, edge }: DevProgram): Promise<Answer> {
  if (edge !== null) return (await (await fetch(`${edge}/version`)).json()) as Answer;
  const described = await (await fetch(`${api}/apps/shop`)).json();
  const { functions } = described as { functions: { name: string; env: { SAVE: string } }[] };
  const save = Number(functions.find((each) => each.name === 'version')!.env.SAVE);
  return { app: save, part: save };
}

await bench({
  name: 'save-to-serving',
  question: 'How long after a save does `dev` serve the new code, under a steady load?',
  leavesOut: 'large apps: this one has three functions, two modules and valibot; editors that save slowly',
  async run({ short, say }) {
    using scratch = scratchFolder();
    const fsync = await fsyncLatency(scratch.path);
    const folder = join(scratch.path, 'shop');
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), '{"name":"shop","type":"module"}');
    writeFileSync(join(folder, 'part.ts'), part(0));
    writeFileSync(join(folder, 'app.ts'), app(0));
    await using dev = await startDev(folder);

    let [asked, lost, mixed, going] = [0, 0, 0, true];
    const load = async (): Promise<void> => {
      while (going) {
        asked++;
        await ask(dev).then(
          (answer) => void (mixed += answer.app === answer.part ? 0 : 1),
          () => void lost++,
        );
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const loads = [load(), load()];
    const tookMs: number[] = [];
    const saves = short ? 20 : 1000;
    for (let save = 1; save <= saves; save++) {
      const begin = performance.now();
      // The part first: the app is built when the last of the two is there, or built again.
      writeFileSync(join(folder, 'part.ts'), part(save));
      writeFileSync(join(folder, 'app.ts'), app(save));
      while ((await ask(dev)).app !== save) await new Promise((resolve) => setTimeout(resolve, 1));
      tookMs.push(performance.now() - begin);
      if (save % 100 === 0) say(`${save} saves`);
    }
    going = false;
    await Promise.all(loads);
    const through = dev.edge === null ? 'described by the API' : 'answered on the edge port';
    return [
      ...fsyncReadings(fsync),
      { what: `save to new code ${through}, p50`, value: median(tookMs), unit: 'ms' },
      {
        what: `save to new code ${through}, p95`,
        value: percentile(tookMs, 0.95),
        unit: 'ms',
        reach: { atMost: 100 },
      },
      { what: 'requests while it was saved', value: asked, unit: 'requests' },
      { what: 'requests lost', value: lost, unit: 'requests', reach: { atMost: 0 } },
      { what: 'answers from two versions', value: mixed, unit: 'requests', reach: { atMost: 0 } },
    ];
  },
});
