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
  RecordsEvent,
  RecordsResult,
  StateChange,
  StateReader,
  StateValues,
  TickEvent,
} from './invocation.ts';
export type {
  Instance,
  InstanceChannel,
  InstanceEnd,
  InstanceHarness,
  InstanceListener,
  InstanceSpec,
  Runtime,
  RuntimeCounts,
} from './port.ts';
export type { FromInstance, ToInstance } from './protocol.ts';
