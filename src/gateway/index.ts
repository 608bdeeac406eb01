export { bodyOf, jsonOf, readBody } from './api/body.ts';
export { type ApiDoor, type ApiDoorOptions, createApiDoor, type DoorLimits } from './api/door.ts';
export { answerError, Exchange } from './api/exchange.ts';
export type {
  ApiContext,
  ApiEnv,
  HotRoute,
  OpenApiOperation,
  OpenApiParameter,
  Route,
  RouteGroup,
} from './api/route.ts';
export type { TlsFiles } from './api/tls.ts';
