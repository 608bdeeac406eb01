import { createLifecycle } from './lifecycle.ts';

/** A program of three services that stops on SIGINT and SIGTERM and tells what happens; the last waits for two signals. */
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const twice = Promise.withResolvers<void>();
let signals = 0;

const service = (name: string, last = Promise.resolve()) => ({
  name,
  start: async () => say(`start ${name}`),
  refuse: () => say(`refuse ${name}`),
  async stop() {
    await last;
    say(`stop ${name}`);
  },
});

const lifecycle = createLifecycle([service('log', twice.promise), service('functions'), service('doors')]);
lifecycle.onChange(say);
const alive = setInterval(() => undefined, 60_000);
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, async () => {
    if (++signals === 2) twice.resolve();
    await lifecycle.stop();
    clearInterval(alive);
  });
}
await lifecycle.start();
