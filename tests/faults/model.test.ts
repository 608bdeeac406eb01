/** The model of the log with crashes, over many more runs than with every test, and other ones each time. */
import { full } from './lib/log.ts';

process.env.MILLRACE_RUNS ??= full ? '10000' : '500';
process.env.MILLRACE_SEED ??= String(Date.now() % 2 ** 31);
await import('../../src/streams/log/model.test.ts');
