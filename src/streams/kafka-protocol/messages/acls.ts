/** Access control lists. See `../codec/fields.ts` for how to read the tables. */
import { api, array, int8, int16, int32, string } from '../codec/fields.ts';

export const DescribeAcls = api(
  'DescribeAcls',
  29,
  [1, 3],
  2,
  {
    resourceTypeFilter: int8,
    resourceNameFilter: string.nullable(),
    patternTypeFilter: int8.or(3),
    principalFilter: string.nullable(),
    hostFilter: string.nullable(),
    operation: int8,
    permissionType: int8,
  },
  {
    throttleTimeMs: int32.or(0),
    errorCode: int16,
    errorMessage: string.nullable(),
    resources: array({
      resourceType: int8,
      resourceName: string,
      patternType: int8.or(3),
      acls: array({ principal: string, host: string, operation: int8, permissionType: int8 }),
    }),
  },
);

export const CreateAcls = api(
  'CreateAcls',
  30,
  [1, 3],
  2,
  {
    creations: array({
      resourceType: int8,
      resourceName: string,
      resourcePatternType: int8.or(3),
      principal: string,
      host: string,
      operation: int8,
      permissionType: int8,
    }),
  },
  { throttleTimeMs: int32.or(0), results: array({ errorCode: int16, errorMessage: string.nullable() }) },
);

export const DeleteAcls = api(
  'DeleteAcls',
  31,
  [1, 3],
  2,
  {
    filters: array({
      resourceTypeFilter: int8,
      resourceNameFilter: string.nullable(),
      patternTypeFilter: int8.or(3),
      principalFilter: string.nullable(),
      hostFilter: string.nullable(),
      operation: int8,
      permissionType: int8,
    }),
  },
  {
    throttleTimeMs: int32.or(0),
    filterResults: array({
      errorCode: int16,
      errorMessage: string.nullable(),
      matchingAcls: array({
        errorCode: int16,
        errorMessage: string.nullable(),
        resourceType: int8,
        resourceName: string,
        patternType: int8.or(3),
        principal: string,
        host: string,
        operation: int8,
        permissionType: int8,
      }),
    }),
  },
);
