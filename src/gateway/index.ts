export { type AppRoutesOptions, appRoutes } from './api/apps.ts';
export { bodyOf, jsonOf } from './api/context-body.ts';
export { type ApiDoor, type ApiDoorOptions, createApiDoor } from './api/door.ts';
export { Exchange } from './api/exchange.ts';
export { type FunctionRoutesOptions, functionRoutes } from './api/functions.ts';
export { type ModelOperationRoutesOptions, modelOperationRoutes } from './api/model-operations.ts';
export { type ModelRoutesOptions, modelRoutes } from './api/models.ts';
export { type ObserveRoutesOptions, observeRoutes } from './api/observe.ts';
export { type OperationRoutesOptions, operationRoutes } from './api/operations.ts';
export { type RedriveRoutesOptions, redriveRoutes } from './api/redrive.ts';
export { withoutWrites } from './api/refused-writes.ts';
export type {
  ApiContext,
  ApiEnv,
  HotRoute,
  OpenApiOperation,
  OpenApiParameter,
  Route,
  RouteGroup,
} from './api/route.ts';
export { schemaRegistryRoutes } from './api/schema-registry.ts';
export { secretRoutes } from './api/secrets.ts';
export { type StreamRoutesOptions, streamRoutes } from './api/streams.ts';
export { tokenRoutes } from './api/tokens.ts';
export { createEdge, type Edge, type EdgeConfig, type EdgeOptions, edgeSection } from './edge/edge.ts';
export { readBody } from './http/body.ts';
export type { DoorLimits } from './http/door.ts';
export { answerError } from './http/problem.ts';
export type { TlsFiles } from './http/tls.ts';
export { createInferenceDoor, type InferenceDoor, type InferenceDoorOptions } from './inference/grpc.ts';
export { type InferenceRoutesOptions, inferenceRoutes } from './inference/rest.ts';
export { createInferenceService, type InferenceService } from './inference/service.ts';
export { kafkaSection } from './kafka/config.ts';
export { type KafkaDoor, parseAdvertised } from './kafka/door.ts';
export { createKafka, type KafkaOptions } from './kafka/kafka.ts';
export { statusPageRoutes } from './page/status-page.ts';
