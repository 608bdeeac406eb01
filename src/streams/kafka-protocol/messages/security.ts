/** Authentication (SASL) and its credentials. See `../codec/fields.ts` for how to read the tables. */
import { api, array, bytes, int8, int16, int32, int64, string } from '../codec/fields.ts';

export const SaslHandshake = api(
  'SaslHandshake',
  17,
  [0, 1],
  undefined,
  { mechanism: string },
  { errorCode: int16, mechanisms: array(string) },
);

export const SaslAuthenticate = api(
  'SaslAuthenticate',
  36,
  [0, 2],
  2,
  { authBytes: bytes },
  {
    errorCode: int16,
    errorMessage: string.nullable(),
    authBytes: bytes,
    sessionLifetimeMs: int64.from(1).or(0),
  },
);

export const DescribeUserScramCredentials = api(
  'DescribeUserScramCredentials',
  50,
  [0, 0],
  0,
  { users: array({ name: string }).nullable() },
  {
    throttleTimeMs: int32.or(0),
    errorCode: int16,
    errorMessage: string.nullable(),
    results: array({
      user: string,
      errorCode: int16,
      errorMessage: string.nullable(),
      credentialInfos: array({ mechanism: int8, iterations: int32 }),
    }),
  },
);

export const AlterUserScramCredentials = api(
  'AlterUserScramCredentials',
  51,
  [0, 0],
  0,
  {
    deletions: array({ name: string, mechanism: int8 }),
    upsertions: array({
      name: string,
      mechanism: int8,
      iterations: int32,
      salt: bytes,
      saltedPassword: bytes,
    }),
  },
  {
    throttleTimeMs: int32.or(0),
    results: array({ user: string, errorCode: int16, errorMessage: string.nullable() }),
  },
);
