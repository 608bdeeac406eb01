export { type FunctionsConfig, functionsSection } from './dispatch/config.ts';
export {
  createFunctions,
  type FunctionDescription,
  type Functions,
  type FunctionsDependencies,
} from './dispatch/service.ts';
export type { FunctionStats } from './dispatch/stats.ts';
export { harnessModule } from './harness.ts';
export type {
  Dispatcher,
  Emit,
  FunctionError,
  HttpEvent,
  HttpReply,
  InvocationContext,
  InvocationEvent,
  InvocationOutcome,
  InvocationValue,
  LogLine,
  RecordsEvent,
  RecordsResult,
  StateChange,
  StateReader,
  StateValues,
  TickEvent,
} from './invocation.ts';
export { type InvocationsConfig, invocationsSection } from './invocations/config.ts';
export {
  createInvocations,
  type Invocations,
  type InvocationsDependencies,
  type SubmitOptions,
} from './invocations/invocations.ts';
export type { InvocationRecord } from './invocations/record.ts';
export type {
  Instance,
  InstanceChannel,
  InstanceEnd,
  InstanceHarness,
  InstanceListener,
  InstanceSpec,
  InstanceSurroundings,
  Runtime,
  RuntimeCounts,
} from './port.ts';
export type { FromInstance, ToInstance } from './protocol.ts';
export { type Calendar, cronCalendar } from './schedules/cron.ts';
export {
  createSchedules,
  type ScheduleStatus,
  type Schedules,
  type SchedulesDependencies,
} from './schedules/schedules.ts';
export { createSharedHome } from './schedules/shared.ts';
export {
  type ConsumerStatus,
  createStreamConsumers,
  deadLetterStream,
  type RedriveResult,
  type StreamConsumers,
  streamConsumersDeployable,
} from './streams/index.ts';
