import { join } from 'node:path';
import { besideBare } from './lib/beside-bare.ts';
import { scratchFolder } from './lib/calibration.ts';
import { deployApp } from './lib/deploy.ts';
import { bench } from './lib/harness.ts';
import { type LoadPlan, startPlatform } from './lib/http-load.ts';

const CLIENTS = 64;

const SOURCE = `import { fn, http } from 'millrace';
const rateLimit = { requests: 1_000_000_000, per: '1h', by: 'ip' };
export const noop = fn('noop', { on: http.post('/noop', { rateLimit }) }, () => ({ body: { records: 1 } }));
`;

await bench({
  name: 'edge-warm',
  question:
    'What does a route with a body, a rate limit and tracing cost over bare node:http, with 64 clients and a warm instance?',
  leavesOut: 'networks, TLS, tokens, work inside the function; client, platform and worker share the cores',
  async run({ short, say }) {
    using scratch = scratchFolder();
    const plan = (port: number, ratePerSecond?: number): LoadPlan => ({
      port,
      connections: CLIENTS,
      path: '/noop',
      contentType: 'application/json',
      bodyBase64: Buffer.from('{"a":1}').toString('base64'),
      warmupMs: short ? 500 : 3000,
      durationMs: short ? 1500 : 8000,
      ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
    });
    await using open = new AsyncDisposableStack();
    const openDoor = async (): Promise<number> => {
      const platform = open.use(await startPlatform(join(scratch.path, 'data')));
      await deployApp(join(scratch.path, 'app'), platform.api, SOURCE);
      return Number(new URL(platform.edge).port);
    };
    // Awaited here: the platform has to live until all is measured.
    return await besideBare(plan, openDoor, say);
  },
});
