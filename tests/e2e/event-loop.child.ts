/**
 * A platform that tells how long its main thread was held. Every millisecond a timer looks at the processor time that
 * the thread itself has used since it last looked: what lies between two looks ran without a break. Processor time, unlike
 * the clock, does not grow while other programs have the processor.
 */
import { createPlatform, loadConfig, onLog } from '../../src/main.ts';

const [folder] = process.argv.slice(2);
const flags = { data: `${folder}/data`, 'edge-port': '0', 'api-port': '0', 'kafka-port': '0' };
const platform = createPlatform(await loadConfig({ flags, env: {}, folder: folder! }));
onLog((line) => process.stderr.write(`${line}\n`));
await platform.start();

function usedMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

let before = usedMs();
let longestMs = 0;
function look(): void {
  const now = usedMs();
  longestMs = Math.max(longestMs, now - before);
  before = now;
}
setInterval(look, 1);

/** What the same work would take right here: one section, measured in the same way. */
function parseMs(bytes: number): number {
  const text = JSON.stringify(
    Array.from({ length: bytes / 40 }, (_, id) => ({ id, name: `item ${id}`, at: 1.5 })),
  );
  const start = usedMs();
  JSON.parse(text);
  return usedMs() - start;
}

process.on('message', (message: { readonly ask: 'longest' | 'parse' | 'stop' }) => {
  if (message.ask === 'stop') {
    void platform.stop().then(() => process.exit(0));
    return;
  }
  look();
  const answer = message.ask === 'longest' ? longestMs : parseMs(6_000_000);
  before = usedMs();
  longestMs = 0;
  process.send?.(answer);
});
process.send?.(platform.addresses.api);
