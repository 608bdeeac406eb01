import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { isMillraceError, type Manifest } from '../kernel/index.ts';
import type { BuiltApp } from './index.ts';
import { createWorkbench, PACKAGE, type Workbench } from './workbench.support.ts';

let bench: Workbench;
let folder = 0;
const at = (path: string): string => `app${folder}/${path}`;
before(async () => {
  bench = await createWorkbench();
});
beforeEach(() => {
  folder++;
});
after(() => bench[Symbol.asyncDispose]());

const APP = `
import { every, fn, http, state, stream } from 'millrace';
import * as v from 'valibot';
import { double } from './double.ts';

const Payment = v.object({ card: v.string(), amount: v.number() });
export const payments = stream('payments', { schema: Payment, key: 'card', partitions: 4, retention: '7d' });
export const alerts = stream('alerts');
export const accept = fn('accept', { on: http.post('/payments', { body: Payment }) }, async (request, ctx) => {
  await ctx.emit(payments, request.body);
  return { status: 202 };
});
const spent = state('spent', { schema: v.number(), ttl: '1d' });
export const score = fn('score', { on: payments, batch: { size: 500, wait: '20ms' }, memory: '256mb' }, async (records, ctx) => {
  for (const record of records) {
    const sum = ((await ctx.state(spent, record).get()) ?? 0) + double(record.value.amount);
    if (sum > 900) await ctx.emit(alerts, { sum });
  }
});
export const sweep = fn('sweep', { on: every('5m') }, async (_tick, ctx) => ctx.log.info('swept'));
`;
const DOUBLE = 'export const double = (n: number) => n * 2;\nexport const unused = 1;\n';

async function build(app: string, files: { [path: string]: string } = {}): Promise<BuiltApp> {
  const others = Object.entries(files).map(([path, content]) => [at(path), content]);
  const path = await bench.write({
    [at('package.json')]: PACKAGE,
    ...Object.fromEntries(others),
    [at('app.ts')]: app,
  });
  return bench.builder.build(path);
}

async function problemsOf(app: string, files: { [path: string]: string } = {}): Promise<readonly string[]> {
  const error = await build(app, files).then(
    () => assert.fail('it was built'),
    (reason: unknown) => reason,
  );
  assert.ok(isMillraceError(error, 'APP_INVALID'), String(error));
  return error.errors.map((problem) => problem.message);
}

const versions = ({ functions }: Manifest): { [name: string]: string } =>
  Object.fromEntries(functions.map((each) => [each.name, each.version]));

test('an app becomes a manifest in plain JSON and files that match their hashes', async () => {
  const { manifest, files, inputs } = await build(APP, { 'double.ts': DOUBLE });
  assert.equal(manifest.app, 'pay');
  assert.deepEqual(manifest, JSON.parse(JSON.stringify(manifest)));
  assert.deepEqual(manifest.streams[1], {
    name: 'payments',
    partitions: 4,
    keyPath: '/card',
    schema: {
      type: 'object',
      properties: { card: { type: 'string' }, amount: { type: 'number' } },
      required: ['card', 'amount'],
    },
    compatibility: 'backward',
    onInvalid: 'refuse',
    retentionMs: 604_800_000,
    retentionBytes: null,
    cleanup: 'delete',
    maxRecordBytes: 6_291_456,
  });
  assert.deepEqual(manifest.states, [{ name: 'spent', schema: { type: 'number' }, ttlMs: 86_400_000 }]);
  const score = manifest.functions.find((each) => each.name === 'score')!;
  assert.deepEqual(score.batch, { size: 500, waitMs: 20 });
  assert.equal(score.memoryBytes, 256 * 1024 * 1024);
  assert.deepEqual(score.triggers, [{ kind: 'stream', stream: 'payments' }]);
  assert.deepEqual(
    manifest.files.map((file) => file.path),
    [...files.keys()].sort(),
  );
  assert.ok(inputs.includes(join(bench.folder, at('double.ts'))));
});

test('each function is a module of its own that runs with the SDK; source maps lead back to the source', async () => {
  const { manifest, files } = await build(APP, { 'double.ts': DOUBLE });
  await bench.write({ [at('out/package.json')]: '{"type":"module"}' });
  for (const [path, bytes] of files)
    await bench.write({ [at(`out/${path}`)]: Buffer.from(bytes).toString() });
  for (const { entry, exportName, name } of manifest.functions) {
    const module = (await import(join(bench.folder, at(`out/${entry}`)))) as {
      [name: string]: { name: string };
    };
    assert.equal(module[exportName]!.name, name);
  }
  const map = files.get('functions/score.js.map')!;
  const { sources } = JSON.parse(Buffer.from(map).toString()) as { sources: string[] };
  assert.deepEqual(sources, ['double.ts', 'app.ts']);
  const sweep = files.get('functions/sweep.js')!;
  assert.doesNotMatch(Buffer.from(sweep).toString(), /payments|valibot|object/);
});

test('the same source gives the same bytes, twice and in another folder', async () => {
  const one = await build(APP, { 'double.ts': DOUBLE });
  const again = await bench.builder.build(join(bench.folder, at('app.ts')));
  folder += 100;
  const elsewhere = await build(APP, { 'double.ts': DOUBLE });
  assert.deepEqual(again.manifest, one.manifest);
  assert.deepEqual(elsewhere.manifest, one.manifest);
  assert.deepEqual(elsewhere.files, one.files);
});

test('an edit touches the versions of the functions it concerns, and of no other', async () => {
  const before = versions((await build(APP, { 'double.ts': DOUBLE })).manifest);
  const edited = async (change: (app: string) => string, double = DOUBLE): Promise<string[]> => {
    const after = versions((await build(change(APP), { 'double.ts': double })).manifest);
    return Object.keys(after).filter((name) => after[name] !== before[name]);
  };
  assert.deepEqual(await edited((app) => app.replace("'swept'", "'clean'")), ['sweep']);
  assert.deepEqual(await edited((app) => app.replace('sum > 900', 'sum > 901')), ['score']);
  assert.deepEqual(await edited((app) => app.replace("'5m'", "'6m'")), ['sweep']);
  assert.deepEqual(
    await edited((app) => app.replace('amount: v.number()', 'amount: v.nullable(v.number())')),
    ['accept', 'score'],
  );
  assert.deepEqual(await edited((app) => app, DOUBLE.replace('n * 2', 'n + n')), ['score']);
  assert.deepEqual(await edited((app) => app, DOUBLE.replace('unused = 1', 'unused = 2')), []);
  assert.deepEqual(await edited((app) => `// A comment above it all.\n${app}`), []);
});

test('functions may live in files of their own, behind a barrel', async () => {
  const { manifest } = await build(
    `export * from './functions/index.ts';\nexport { jobs } from './streams.ts';`,
    {
      'streams.ts': `import { stream } from 'millrace';\nexport const jobs = stream('jobs');`,
      'functions/index.ts': `export * from './one.ts';\nexport * from './two.ts';`,
      'functions/one.ts': `import { fn } from 'millrace';\nimport { jobs } from '../streams.ts';\nexport const one = fn('one', { on: jobs }, () => {});`,
      'functions/two.ts': `import { fn } from 'millrace';\nimport { jobs } from '../streams.ts';\nexport const two = fn('two', { on: jobs }, () => {});`,
    },
  );
  assert.deepEqual(Object.keys(versions(manifest)), ['one', 'two']);
  assert.equal(manifest.streams.length, 1);
});

test('an import may bring more names than one function needs, renamed, by default or as a namespace', async () => {
  const { manifest } = await build(
    `import { fn } from 'millrace';
import streams, { one as first, two } from './streams.ts';
import * as all from './streams.ts';
export { one, two, three, default as base } from './streams.ts';
export const a = fn('a', { on: first }, () => {});
export const b = fn('b', { on: two }, () => {});
export const c = fn('c', { on: all.three }, () => {});
export const d = fn('d', { on: streams }, () => {});`,
    {
      'streams.ts': `import { stream } from 'millrace';
export const one = stream('one'), two = stream('two');
export const three = stream('three');
export default stream('base');`,
    },
  );
  assert.deepEqual(
    manifest.functions.map(({ triggers }) => triggers[0]),
    ['one', 'two', 'three', 'base'].map((name) => ({ kind: 'stream', stream: name })),
  );
  assert.equal(manifest.streams.length, 4);
});

test("another app's stream and function are references; only what is used is one", async () => {
  const { manifest } = await build(
    `import { fn } from 'millrace';
import { payments, check } from '../intake/app.ts';
export const report = fn('report', { on: payments }, async (record, ctx) => void (await ctx.invoke(check, record.value)));`,
    {
      '../intake/package.json': JSON.stringify({ name: 'intake', type: 'module' }),
      '../intake/app.ts': `import { fn, stream } from 'millrace';
import * as v from 'valibot';
const Payment = v.object({ card: v.string() });
export const payments = stream('payments', { schema: Payment });
export const other = stream('other');
export const check = fn('check', { input: Payment }, (input) => input.card);`,
    },
  );
  const schema = { type: 'object', properties: { card: { type: 'string' } }, required: ['card'] };
  assert.deepEqual(manifest.references, [
    { kind: 'function', name: 'check', schema },
    { kind: 'stream', name: 'payments', schema },
  ]);
  assert.deepEqual(manifest.streams, []);
});

test('files named by new URL(…, import.meta.url) are carried along and found', async () => {
  const { files, manifest } = await build(
    `import { fn } from 'millrace';
export const load = fn('load', {}, () => new URL('./data/words.txt', import.meta.url));
export const plain = fn('plain', {}, () => 1);`,
    { 'data/words.txt': 'one two' },
  );
  assert.equal(Buffer.from(files.get('assets/data/words.txt')!).toString(), 'one two');
  await bench.write({ [at('out/package.json')]: '{"type":"module"}' });
  for (const [path, bytes] of files)
    await bench.write({ [at(`out/${path}`)]: Buffer.from(bytes).toString() });
  const entry = manifest.functions.find((each) => each.name === 'load')!.entry;
  const { load } = (await import(join(bench.folder, at(`out/${entry}`)))) as { load: { handler: () => URL } };
  assert.equal(await readFile(load.handler(), 'utf8'), 'one two');
  const before = versions(manifest);
  await bench.write({ [at('data/words.txt')]: 'one two three' });
  const after = versions((await bench.builder.build(join(bench.folder, at('app.ts')))).manifest);
  assert.notEqual(after.load, before.load);
  assert.equal(after.plain, before.plain);
});

test('an app is called by --app, else by its package, else by its folder', async () => {
  const source = `import { stream } from 'millrace';\nexport const s = stream('s');`;
  const scoped = await bench.write({
    [at('package.json')]: '{"name":"@acme/intake"}',
    [at('app.ts')]: source,
  });
  assert.equal((await bench.builder.build(scoped)).manifest.app, 'acme.intake');
  assert.equal((await bench.builder.build(scoped, { app: 'mine' })).manifest.app, 'mine');
  await assert.rejects(bench.builder.build(scoped, { app: 'my app' }), { code: 'APP_INVALID' });
});

test('what does not compile is told with file and line', async () => {
  const [problem] = await problemsOf(`import { fn } from 'millrace';\nexport const a = fn('a', {}, () => {`);
  assert.match(problem!, /^app\.ts:2: /);
  const [missing] = await problemsOf(`import { x } from './nowhere.ts';\nexport const y = x;`);
  assert.match(missing!, /nowhere/);
  assert.match(missing!, /app\.ts/);
  const [throws] = await problemsOf(`import 'millrace';\n\nthrow new Error('not today');`);
  assert.equal(throws, 'app.ts:3: the module throws when it is imported: not today');
});

test('two things of one name are refused, with both places', async () => {
  const problems = await problemsOf(`import { fn, state, stream } from 'millrace';
export const a = stream('same');
export const b = stream('same');
export const c = fn('same', {}, () => {});
const s = state('one'), t = state('one');
export const d = fn('d', { on: a }, async (r, ctx) => { ctx.state(s, r); ctx.state(t, r); });`);
  assert.deepEqual(problems, [
    "app.ts:3: stream 'same': the name is taken by another stream (app.ts:2); each needs its own.",
    "app.ts:4: function 'same': the name is taken by another stream (app.ts:2); each needs its own.",
    "app.ts:5: state 'one': the name is taken by another state (app.ts:5); each needs its own.",
  ]);
});

test('impossible limits and unknown options are refused all at once, each with its range or the nearest name', async () => {
  const problems = await problemsOf(`import { cron, every, fn, http, stream } from 'millrace';
const any = (value) => value;
export const s = stream('s', any({ partitions: 0, retention: 'a week', compatibility: 'sideways' }));
export const f = fn('f', any({ timeout: '1h', memory: '64mb', cpu: 99, perInstance: 1.5, instances: { min: 20, max: 2 }, timeOut: 1 }), () => {});
export const g = fn('g', any({ on: [every('1ms'), cron('61 * * * *'), http.get('no-slash'), 7] }), () => {});
export const h = fn('h', any({ on: http.post('/h', { maxBody: '7mb', allow: ['10.0.0.0/40'], rateLimit: { requests: 0, per: '5m' } }) }), () => {});
export const i = fn('millrace.i', {}, () => {});
export const j = fn('j', any({ batch: { size: 5 }, env: { A: 1 } }), any(undefined));`);
  const expected = [
    /app\.ts:3: stream 's': partitions is 0; it must lie between 1 and 10000/,
    /stream 's': retention must be a duration .* not 'a week'/,
    /compatibility must be 'none' or 'backward' .* not 'sideways'/,
    /app\.ts:4: function 'f': timeOut is not an option; did you mean 'timeout'\?/,
    /timeout is 1h; it must lie between 1\.0ms and 15m/,
    /memory is 64\.0 MB; it must lie between 128 MB and 10\.0 GB/,
    /cpu is 99; it must lie between 0\.1 and 16/,
    /perInstance must be a whole number, not 1\.5/,
    /instances\.min is 20, more than max, 2/,
    /on\.interval is 1\.0ms; it must lie between 100ms/,
    /cron is '61 \* \* \* \*': minute 61 is not between 0 and 59/,
    /path is 'no-slash'; it must begin with '\/'/,
    /on must be a stream, .* not 7/,
    /\(POST \/h\): maxBody is 7\.0 MB; it must lie between 1 B and 6\.0 MB/,
    /allow holds '10\.0\.0\.0\/40', which is not an address or a range/,
    /rateLimit\.requests is 0; it must lie between 1/,
    /function 'millrace\.i' is the platform's own/,
    /function 'j': batch is for functions on a stream/,
    /env\.A must be text, not 1/,
    /function 'j' has no handler/,
  ];
  for (const pattern of expected)
    assert.ok(
      problems.some((problem) => pattern.test(problem)),
      `${pattern}\n${problems.join('\n')}`,
    );
  assert.equal(problems.length, expected.length);
});

test('schemas that need code to run are refused with the path and a remedy', async () => {
  const problems = await problemsOf(`import { stream } from 'millrace';
import * as v from 'valibot';
import { z } from 'zod';
import { type } from 'arktype';
export const a = stream('a', { schema: v.object({ card: v.pipe(v.string(), v.trim()) }) });
export const b = stream('b', { schema: v.objectAsync({ card: v.string() }) });
export const c = stream('c', { schema: z.object({ list: z.array(z.string().refine(async () => true)) }) });
export const d = stream('d', { schema: type({ day: 'Date', 'low?': 'string.lower' }) });
export const e = stream('e', { schema: { '~standard': { version: 1, vendor: 'homemade', validate: () => ({}) } } });`);
  assert.deepEqual(problems, [
    "app.ts:5: stream 'a': schema at /card transforms (trim): describe the value as it is sent, and transform it in the handler.",
    "app.ts:6: stream 'b': schema is async (object): use the synchronous form, and look things up in the handler.",
    "app.ts:7: stream 'c': schema at /list/* checks with code of its own (refine): use rules that JSON Schema knows, and check the rest in the handler.",
    "app.ts:8: stream 'd': schema at /day cannot be JSON (Date): describe the JSON that is sent, such as text in ISO 8601 for a date.",
    "app.ts:8: stream 'd': schema at /low transforms (morph): describe the value as it is sent, and transform it in the handler.",
    "app.ts:9: stream 'e': schema comes from homemade, which cannot give its JSON Schema; use valibot, zod 4.2 or later, or arktype: the platform needs it as JSON Schema.",
  ]);
});

test('valibot, zod and arktype give the same JSON Schema for the same type', async () => {
  const { manifest } = await build(`import { stream } from 'millrace';
import * as v from 'valibot';
import { z } from 'zod';
import { type } from 'arktype';
export const a = stream('a', { schema: v.object({ id: v.string(), tags: v.array(v.number()), note: v.optional(v.string()) }) });
export const b = stream('b', { schema: z.object({ id: z.string(), tags: z.array(z.number()), note: z.string().optional() }) });
export const c = stream('c', { schema: type({ id: 'string', tags: 'number[]', 'note?': 'string' }) });`);
  const [a, b, c] = manifest.streams.map(({ schema }) => schema);
  assert.deepEqual(b, a);
  assert.deepEqual(c, a);
});

test('a native dependency is named and refused', async () => {
  const problems = await problemsOf(
    `import { fn } from 'millrace';\nimport fast from 'fast-thing';\nexport const f = fn('f', {}, () => fast);`,
    {
      'node_modules/fast-thing/package.json': '{"name":"fast-thing","main":"index.js"}',
      'node_modules/fast-thing/index.js': `module.exports = require('./build/fast.node');`,
    },
  );
  assert.match(problems[0]!, /^'fast-thing' is a native dependency \(it loads '\.\/build\/fast\.node'\)/);
});

test('a resource that is used but not exported, and two functions on one route, are refused', async () => {
  const problems = await problemsOf(`import { fn, http, stream } from 'millrace';
const hidden = stream('hidden');
export const f = fn('f', { on: hidden }, () => {});
export const g = fn('g', { on: http.get('/cards/:id') }, () => {});
export const h = fn('h', { on: http.get('/cards/:card') }, () => {});`);
  assert.deepEqual(problems, [
    "app.ts:2: stream 'hidden' is used but not exported; export it, so that it is deployed with the app.",
    "function 'h': GET /cards/:card is served by function 'g' already.",
  ]);
});

test('a key path that the schema does not have is refused', async () => {
  const problems = await problemsOf(`import { stream } from 'millrace';
import * as v from 'valibot';
const any = (value) => value;
export const s = stream('s', any({ schema: v.object({ card: v.string() }), key: 'cart' }));`);
  assert.deepEqual(problems, ["app.ts:4: stream 's': key is 'cart', which the schema does not have."]);
});

test('looking at an app shows it nothing of the environment, and outlives what the app does', async () => {
  process.env.MILLRACE_TEST_SECRET = 'visible';
  const { manifest } = await build(`import { fn } from 'millrace';
export const f = fn('f', { env: { SEEN: String(process.env.MILLRACE_TEST_SECRET) } }, () => {});`);
  delete process.env.MILLRACE_TEST_SECRET;
  assert.deepEqual(manifest.functions[0]!.env, { SEEN: 'undefined' });
  await assert.rejects(build(`import 'millrace';\nprocess.exit(3);`), /ended its process with code 3/);
});
