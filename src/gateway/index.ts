export { type AppRoutesOptions, appRoutes } from './api/apps.ts';
export { readBody } from './api/body.ts';
export { bodyOf, jsonOf } from './api/context-body.ts';
export { type ApiDoor, type ApiDoorOptions, createApiDoor, type DoorLimits } from './api/door.ts';
export { answerError, Exchange } from './api/exchange.ts';
export { type OperationRoutesOptions, operationRoutes } from './api/operations.ts';
export type {
  ApiContext,
  ApiEnv,
  HotRoute,
  OpenApiOperation,
  OpenApiParameter,
  Route,
  RouteGroup,
} from './api/route.ts';
export { type StreamRoutesOptions, streamRoutes } from './api/streams.ts';
export type { TlsFiles } from './api/tls.ts';
export { tokenRoutes } from './api/tokens.ts';
