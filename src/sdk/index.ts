export type {
  FunctionResource,
  Resource,
  StateResource,
  StreamResource,
  TriggerResource,
} from './resources.ts';
