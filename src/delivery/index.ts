export {
  createDelivery,
  type Delivery,
  type DeliveryOptions,
  type Deployment,
  type UncheckedArtifact,
  type VersionSummary,
} from './delivery.ts';
export type { DeploymentPlan } from './plan.ts';
export type { VersionRecord } from './records.ts';
