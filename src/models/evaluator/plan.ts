import { isMillraceError } from '../../kernel/index.ts';
import { isTensor, type Value } from '../tensor.ts';
import { type Budget, refuseVast } from './limits.ts';
import type { Kernel, NodeFacts, SubGraph } from './operator.ts';
import { misfit } from './shapes.ts';

/** One node of a plan. Slots are places in the plan's frame; -1 is an absent input or output. */
export interface Step {
  /** The node for messages. */
  readonly label: string;
  readonly kernel: Kernel;
  /** What the operator knew when it was compiled; undefined for calls of functions. */
  readonly facts: NodeFacts | undefined;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Graphs of the node's own and where their values from outside lie in this frame. */
  readonly inner: readonly { readonly plan: Plan; readonly from: readonly number[] }[];
  /** Slots that nobody reads after this step. */
  release: readonly number[];
}

export interface PlanParts {
  readonly slots: number;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly constants: readonly { readonly slot: number; readonly value: Value }[];
  /** Slots that are filled from the graph around this one, in the order of `captured`. */
  readonly captures: readonly number[];
  readonly steps: readonly Step[];
}

/** What a step costs beside what its operator counts, so that a loop without an end is stopped however little it does. */
const STEP_OPERATIONS = 1000;

/**
 * A graph in the order in which it runs: each step reads slots of a frame and writes others. Plans are synchronous and never
 * run inside themselves, so one frame per plan is enough.
 */
export class Plan implements SubGraph {
  readonly inputCount: number;
  readonly outputCount: number;
  readonly parts: PlanParts;
  readonly #frame: (Value | undefined)[];
  readonly #budget: Budget;
  #captured: readonly (Value | undefined)[] = [];

  constructor(parts: PlanParts, budget: Budget) {
    this.parts = parts;
    this.#budget = budget;
    this.inputCount = parts.inputs.length;
    this.outputCount = parts.outputs.length;
    this.#frame = new Array(parts.slots).fill(undefined);
    releaseEarly(parts);
    for (const { slot, value } of parts.constants) this.#frame[slot] = value;
  }

  /** Values from the graph around, for the runs that follow. */
  capture(values: readonly (Value | undefined)[]): void {
    this.#captured = values;
  }

  run(inputs: readonly (Value | undefined)[]): (Value | undefined)[] {
    const parts = this.parts;
    const frame = this.#frame;
    this.#budget.work(STEP_OPERATIONS * (1 + parts.steps.length));
    for (let index = 0; index < parts.inputs.length; index += 1) frame[parts.inputs[index]!] = inputs[index];
    for (let index = 0; index < parts.captures.length; index += 1) {
      frame[parts.captures[index]!] = this.#captured[index];
    }
    try {
      for (const step of parts.steps) runStep(step, frame);
      return parts.outputs.map((slot) => frame[slot]);
    } finally {
      for (const step of parts.steps) for (const slot of step.outputs) if (slot >= 0) frame[slot] = undefined;
      for (const slot of parts.inputs) frame[slot] = undefined;
      for (const slot of parts.captures) frame[slot] = undefined;
    }
  }
}

function runStep(step: Step, frame: (Value | undefined)[]): void {
  const values = new Array<Value | undefined>(step.inputs.length);
  for (let index = 0; index < values.length; index += 1) {
    const slot = step.inputs[index]!;
    values[index] = slot < 0 ? undefined : frame[slot];
  }
  for (const { plan, from } of step.inner) plan.capture(from.map((slot) => frame[slot]));
  const results = runKernel(step.label, step.kernel, values);
  for (let index = 0; index < step.outputs.length; index += 1) {
    const slot = step.outputs[index]!;
    if (slot >= 0) frame[slot] = results[index];
  }
  for (const slot of step.release) frame[slot] = undefined;
}

/** Runs a kernel; what goes wrong names the node. Arrays that cannot be made and numbers of the wrong kind end here too. */
export function runKernel(
  label: string,
  kernel: Kernel,
  values: readonly (Value | undefined)[],
): readonly (Value | undefined)[] {
  try {
    for (const value of values)
      if (value && isTensor(value) && value.data.length === 0) refuseVast(value.dims);
    return kernel(values);
  } catch (error) {
    if (isMillraceError(error) || !(error instanceof Error) || error.message.startsWith('node ')) throw error;
    throw misfit(`node ${label}: ${error.message}`);
  }
}

/** Says for every step which slots hold nothing that is still needed; constants and outputs stay. */
function releaseEarly({ steps, outputs, constants }: PlanParts): void {
  const kept = new Set([...outputs, ...constants.map(({ slot }) => slot)]);
  const seen = new Set<number>();
  for (let index = steps.length - 1; index >= 0; index -= 1) {
    const step = steps[index]!;
    const used = [...step.inputs, ...step.outputs, ...step.inner.flatMap(({ from }) => from)];
    const last = new Set(used.filter((slot) => slot >= 0 && !kept.has(slot) && !seen.has(slot)));
    step.release = [...last];
    for (const slot of last) seen.add(slot);
  }
}
