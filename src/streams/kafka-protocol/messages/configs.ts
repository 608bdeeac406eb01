/** Settings of topics and brokers. See `../codec/fields.ts` for how to read the tables. */
import { api, array, bool, int8, int16, int32, string } from '../codec/fields.ts';

export const DescribeConfigs = api(
  'DescribeConfigs',
  32,
  [1, 4],
  4,
  {
    resources: array({
      resourceType: int8,
      resourceName: string,
      configurationKeys: array(string).nullable(),
    }),
    includeSynonyms: bool,
    includeDocumentation: bool.from(3),
  },
  {
    throttleTimeMs: int32.or(0),
    results: array({
      errorCode: int16,
      errorMessage: string.nullable(),
      resourceType: int8,
      resourceName: string,
      configs: array({
        name: string,
        value: string.nullable(),
        readOnly: bool,
        configSource: int8.or(-1),
        isSensitive: bool,
        synonyms: array({ name: string, value: string.nullable(), source: int8 }),
        configType: int8.from(3).or(0),
        documentation: string.from(3).nullable(),
      }),
    }),
  },
);

export const AlterConfigs = api(
  'AlterConfigs',
  33,
  [0, 2],
  2,
  {
    resources: array({
      resourceType: int8,
      resourceName: string,
      configs: array({ name: string, value: string.nullable() }),
    }),
    validateOnly: bool,
  },
  {
    throttleTimeMs: int32.or(0),
    responses: array({
      errorCode: int16,
      errorMessage: string.nullable(),
      resourceType: int8,
      resourceName: string,
    }),
  },
);

export const IncrementalAlterConfigs = api(
  'IncrementalAlterConfigs',
  44,
  [0, 1],
  1,
  {
    resources: array({
      resourceType: int8,
      resourceName: string,
      configs: array({ name: string, configOperation: int8, value: string.nullable() }),
    }),
    validateOnly: bool,
  },
  {
    throttleTimeMs: int32.or(0),
    responses: array({
      errorCode: int16,
      errorMessage: string.nullable(),
      resourceType: int8,
      resourceName: string,
    }),
  },
);

export const ListConfigResources = api(
  'ListConfigResources',
  74,
  [0, 1],
  0,
  { resourceTypes: array(int8).from(1) },
  {
    throttleTimeMs: int32.or(0),
    errorCode: int16,
    configResources: array({ resourceName: string, resourceType: int8.from(1).or(16) }),
  },
);
