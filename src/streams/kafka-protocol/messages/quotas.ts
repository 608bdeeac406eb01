/** Quotas of clients. See `../codec/fields.ts` for how to read the tables. */
import { api, array, bool, float64, int8, int16, int32, string } from '../codec/fields.ts';

export const DescribeClientQuotas = api(
  'DescribeClientQuotas',
  48,
  [0, 1],
  1,
  { components: array({ entityType: string, matchType: int8, match: string.nullable() }), strict: bool },
  {
    throttleTimeMs: int32.or(0),
    errorCode: int16,
    errorMessage: string.nullable(),
    entries: array({
      entity: array({ entityType: string, entityName: string.nullable() }),
      values: array({ key: string, value: float64 }),
    }).nullable(),
  },
);

export const AlterClientQuotas = api(
  'AlterClientQuotas',
  49,
  [0, 1],
  1,
  {
    entries: array({
      entity: array({ entityType: string, entityName: string.nullable() }),
      ops: array({ key: string, value: float64, remove: bool }),
    }),
    validateOnly: bool,
  },
  {
    throttleTimeMs: int32.or(0),
    entries: array({
      errorCode: int16,
      errorMessage: string.nullable(),
      entity: array({ entityType: string, entityName: string.nullable() }),
    }),
  },
);
