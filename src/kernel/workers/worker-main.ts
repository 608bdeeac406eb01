import { parentPort, type Transferable } from 'node:worker_threads';
import { MillraceError } from '../errors.ts';
import type { Job, JobReply } from './workers.ts';

/** What a task gets beside its input. */
export interface TaskContext {
  /** Buffers of the result that are handed over instead of copied. */
  readonly transfer: Transferable[];
}

type Task = (input: unknown, context: TaskContext) => unknown;

async function runJob({ module, task, input }: Job): Promise<{ reply: JobReply; transfer: Transferable[] }> {
  const transfer: Transferable[] = [];
  try {
    const found: unknown = (await import(module))[task];
    if (typeof found !== 'function') throw new Error(`${module} exports no task '${task}'.`);
    return { reply: { ok: true, result: await (found as Task)(input, { transfer }) }, transfer };
  } catch (error) {
    const known = error instanceof MillraceError ? error : undefined;
    const details = known && { code: known.code, message: known.message, errors: known.errors };
    return { reply: { ok: false, known: details, error: known ? undefined : String(error) }, transfer: [] };
  }
}

parentPort?.on('message', async (job: Job) => {
  const { reply, transfer } = await runJob(job);
  parentPort?.postMessage(reply, transfer);
});
