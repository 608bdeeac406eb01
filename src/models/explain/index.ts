import { siblingModule, type Workers } from '../../kernel/index.ts';
import type { Explainer } from '../service.ts';
import type { ExplainInput } from './explain-task.ts';
import type { Explanation } from './explainer.ts';

export type { Contributions, Explanation } from './explainer.ts';

/** Explains predictions in the platform's workers, as `Models.explainBy` takes it. */
export function explainInWorkers(workers: Workers): Explainer {
  const task = { module: siblingModule(import.meta.url, './explain-task'), task: 'explainRows' };
  return async ({ version }, bytes, inputs, features) => {
    const input: ExplainInput = { version, bytes: await bytes(), inputs, features };
    return (await workers.run<readonly Explanation[]>(task, input)).map((outputs) =>
      outputs.map(({ base, contributions }) => ({ base, contributions: { ...contributions } })),
    );
  };
}
