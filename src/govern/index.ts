export {
  ACL_OPERATIONS,
  type AclBinding,
  type AclFilter,
  type AclOperation,
  type AclQuestion,
  type AclResource,
  type Acls,
  createAcls,
} from './acls.ts';
export { checkDoor, type DoorPlan, isLoopbackHost } from './doors.ts';
export {
  SCRAM_MECHANISMS,
  type ScramExchange,
  type ScramMechanism,
  type ScramUsers,
} from './scram.ts';
export { createSecrets, type SecretStore } from './secrets.ts';
export { createTokens, SCOPES, type TokenInfo, type Tokens } from './tokens.ts';
