import type { InputProblem } from '../../kernel/index.ts';
import { isTensorSpec, type ValueSpec } from '../tensor.ts';
import type { VersionRecord } from './records.ts';

/**
 * What those who use one version would notice of another: inputs and features that it wants besides, outputs that are gone
 * or of another type or rank. Sizes may change; more outputs harm nobody.
 */
export function describeBreaks(current: VersionRecord, next: VersionRecord): InputProblem[] {
  const problems: InputProblem[] = [];
  const inputs = new Map(current.inputs.map((spec) => [spec.name, spec]));
  for (const spec of next.inputs) {
    const before = inputs.get(spec.name);
    const path = `/inputs/${spec.name}`;
    if (!before) problems.push({ path, message: `It wants an input '${spec.name}' besides.` });
    else if (typeText(before) !== typeText(spec)) {
      const message = `The input '${spec.name}' was ${typeText(before)} and would be ${typeText(spec)}.`;
      problems.push({ path, message });
    }
  }
  const known = current.serving.features;
  for (const feature of known === undefined ? [] : (next.serving.features ?? [])) {
    if (known!.includes(feature)) continue;
    problems.push({ path: `/features/${feature}`, message: `It wants a feature '${feature}' besides.` });
  }
  const outputs = new Map(next.outputs.map((spec) => [spec.name, spec]));
  for (const spec of current.outputs) {
    const after = outputs.get(spec.name);
    const path = `/outputs/${spec.name}`;
    if (!after) problems.push({ path, message: `It has no output '${spec.name}'.` });
    else if (typeText(after) !== typeText(spec)) {
      const message = `The output '${spec.name}' was ${typeText(spec)} and would be ${typeText(after)}.`;
      problems.push({ path, message });
    }
  }
  return problems;
}

/** Type and rank: `float32 of rank 2`, `sequence of map`. */
function typeText(spec: ValueSpec): string {
  if (isTensorSpec(spec)) return `${spec.type} of rank ${spec.dims.length}`;
  return `${spec.kind} of ${typeText(spec.element)}`;
}
