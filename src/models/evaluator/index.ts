export { type CompiledModel, compileModel, type Feeds } from './compile.ts';
export { EVALUATOR_LIMITS, type EvaluatorLimits } from './limits.ts';
export type { RowOutput, RowProgram } from './rows/program.ts';
