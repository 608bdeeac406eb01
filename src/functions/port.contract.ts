import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { siblingModule } from '../kernel/index.ts';
import { harnessModule } from './harness.ts';
import type { Instance, InstanceEnd, InstanceSpec, Runtime } from './port.ts';
import type { FromInstance, RunMessage } from './protocol.ts';

export interface RuntimeModules {
  readonly harness: URL;
  readonly sdk: URL;
}

/** What every runtime keeps (R1 to R4 of `port.ts`). `create` makes one with the harness and the SDK of the platform. */
export function runtimeContract(name: string, createWith: (modules: RuntimeModules) => Runtime): void {
  const sdk = siblingModule(import.meta.url, '../sdk/index');
  const create = (): Runtime => createWith({ harness: harnessModule(), sdk });
  describe(`the runtime ${name}`, () => {
    it('runs the code of its spec with the environment of its spec (R1)', async () => {
      process.env.OF_THE_PLATFORM = 'hidden';
      await using world = await start(create, '() => ({ ...process.env })');
      const instance = world.open({ env: { LIMIT: '9' } });
      assert.deepEqual(await instance.ask(), { LIMIT: '9' });
      delete process.env.OF_THE_PLATFORM;
    });

    it('resolves `millrace` to the SDK of the platform, wherever the artifact lies (R1)', async () => {
      await using world = await start(create, 'async () => typeof (await import("millrace")).fn');
      assert.equal(await world.open().ask(), 'function');
    });

    it('keeps the order of messages in both directions (R2)', async () => {
      await using world = await start(create, '(event) => event');
      const instance = world.open();
      for (let id = 1; id <= 500; id++) instance.send(id, id);
      await instance.until(() => instance.answers().length === 500);
      assert.deepEqual(
        instance.answers(),
        Array.from({ length: 500 }, (_, index) => index + 1),
      );
    });

    it('delivers what was said before an exit, then tells the end once (R3)', async () => {
      await using world = await start(create, '() => { console.log("bye"); process.exit(7); }');
      const instance = world.open();
      instance.send(1, null);
      await instance.until(() => instance.ends.length > 0);
      assert.deepEqual(
        instance.messages.filter(([kind]) => kind === 'log').map((message) => message[5]),
        ['bye'],
      );
      assert.deepEqual([instance.ends.length, instance.ends[0]!.reason], [1, 'exited']);
      assert.match(instance.ends[0]!.message, /7/);
    });

    it('contains a full heap and an error that nobody caught, while others go on (R3)', async () => {
      const code =
        '(event) => { if (event === "fill") for (const all = [];;) all.push(new Array(1000).fill(Math.random())); if (event === "throw") setTimeout(() => { throw new Error("loose"); }); return event; }';
      await using world = await start(create, code);
      const [full, loose, other] = [world.open(), world.open(), world.open()];
      full.send(1, 'fill');
      loose.send(1, 'throw');
      await full.until(() => full.ends.length > 0);
      await loose.until(() => loose.ends.length > 0);
      assert.deepEqual([full.ends[0]!.reason, loose.ends[0]!.reason], ['memory', 'error']);
      assert.match(loose.ends[0]!.message, /loose/);
      assert.equal(await other.ask('still here'), 'still here');
    });

    it('ends an instance that never comes back from its code (R4), and counts what is left', async () => {
      await using world = await start(create, '() => { for (;;); }');
      const instance = world.open();
      instance.send(1, null);
      await instance.until(() => instance.messages.some(([kind]) => kind === 'ready'));
      assert.equal(world.runtime.counts().instances, 1);
      instance.end();
      await instance.until(() => instance.ends.length > 0);
      assert.equal(instance.ends[0]!.reason, 'ended');
      assert.equal(world.runtime.counts().instances, 0);
      instance.send(2, 'into the void');
    });

    it('leaves nothing behind when it stops', async () => {
      const world = await start(create, '(event) => event');
      const instance = world.open();
      await instance.ask(1);
      await world[Symbol.asyncDispose]();
      assert.equal(instance.ends.length, 1);
      assert.deepEqual(world.runtime.counts(), { instances: 0, spares: 0 });
    });
  });
}

interface Probe {
  readonly messages: FromInstance[];
  readonly ends: InstanceEnd[];
  send(id: number, input: unknown): void;
  /** One invocation, its result as a value. */
  ask(input?: unknown): Promise<unknown>;
  answers(): unknown[];
  until(condition: () => boolean): Promise<void>;
  end(): void;
}

async function start(create: () => Runtime, handler: string) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-runtime-'));
  writeFileSync(join(folder, 'app.mjs'), `export const handler = { handler: ${handler} };`);
  const runtime = create();
  await runtime.start?.();
  await runtime.reserve?.();
  return {
    runtime,
    open: (given: Partial<InstanceSpec> = {}): Probe => probe(runtime, { ...specOf(folder), ...given }),
    async [Symbol.asyncDispose]() {
      await runtime.stop?.(AbortSignal.timeout(1000));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function specOf(folder: string): InstanceSpec {
  return {
    app: 'contract',
    fn: 'probe',
    version: '1',
    folder,
    entry: 'app.mjs',
    exportName: 'handler',
    triggers: [],
    batched: false,
    perInstance: 80,
    timeoutMs: 30_000,
    memoryBytes: 64 * 1024 ** 2,
    env: {},
    secrets: [],
    providers: [],
  };
}

function probe(runtime: Runtime, spec: InstanceSpec): Probe {
  const messages: FromInstance[] = [];
  const ends: InstanceEnd[] = [];
  let wake: () => void = () => undefined;
  const instance: Instance = runtime.open(spec, {
    received(batch) {
      assert.equal(ends.length, 0, 'nothing is received after the end');
      messages.push(...batch);
      wake();
    },
    ended(end) {
      ends.push(end);
      wake();
    },
  });
  const results = () => messages.filter((message) => message[0] === 'ok');
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
  };
  const send = (id: number, input: unknown): void => {
    const run: RunMessage = ['run', id, ['direct', JSON.stringify(input)], `i${id}`, 't', 'k', 1, 0];
    instance.send(run);
  };
  return {
    messages,
    ends,
    send,
    until,
    end: () => instance.end(),
    answers: () => results().map((message) => JSON.parse(message[2] as string)),
    async ask(input = null) {
      send(1, input);
      await until(() => results().length > 0 || ends.length > 0);
      return JSON.parse(results()[0]![2] as string);
    },
  };
}
