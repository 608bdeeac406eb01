import { parentPort } from 'node:worker_threads';
import { describeModule } from './describe.ts';
import type { Description } from './description.ts';
import { made } from './tracing-sdk.ts';

/** Imports one bundle, once, and says what it declares. The worker is ended after that. */
async function inspect(url: string): Promise<Description> {
  try {
    return describeModule((await import(url)) as { [name: string]: unknown }, made);
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    return { ok: false, message, stack: stack ?? '' };
  }
}

parentPort?.once('message', (url: string) => {
  void inspect(url).then((description) => parentPort?.postMessage(description));
});
