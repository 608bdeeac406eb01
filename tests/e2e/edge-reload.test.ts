import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { createBuilder } from '../../src/build/index.ts';
import { resolveConfig, systemClock } from '../../src/kernel/index.ts';
import { createPlatform, SECTIONS } from '../../src/main.ts';

/** Its schema and its code agree on the version, and on nothing else. */
const source = (version: number): string => `import { fn, http } from 'millrace';
import * as v from 'valibot';
const query = v.object({ v: v.literal('${version}') });
export const show = fn('show', { on: http.get('/show', { query }) }, () => ({ body: '${version}' }));
`;

test('deployments under load lose no request, and none is answered by a mix of versions', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-reload-'));
  const builder = createBuilder({ clock: systemClock() });
  const config = resolveConfig(SECTIONS, {
    flags: { 'edge-port': 0, 'api-port': 'off', 'kafka-port': 'off' },
  });
  const platform = createPlatform(config, { memory: true });
  try {
    symlinkSync(resolve(import.meta.dirname, '../../node_modules'), join(folder, 'node_modules'));
    const versions = [];
    for (const version of [1, 2]) {
      mkdirSync(join(folder, `${version}`));
      writeFileSync(join(folder, `${version}`, 'app.ts'), source(version));
      versions.push(await builder.build(join(folder, `${version}`, 'app.ts'), { app: 'shop' }));
    }
    await platform.start();
    await platform.delivery.deploy(versions[0]!, 'test');

    let over = false;
    const seen = new Map<string, number>();
    const client = async (wanted: string): Promise<void> => {
      while (!over) {
        const answer = await fetch(`${platform.addresses.edge}/show?v=${wanted}`);
        const text = await answer.text();
        const outcome =
          answer.status === 422 ? '422' : `${answer.status} ${text === wanted ? 'its own' : text}`;
        seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
      }
    };
    const clients = ['1', '2', '1', '2', '1', '2', '1', '2'].map(client);
    for (let deployment = 1; deployment <= 30; deployment++) {
      await platform.delivery.deploy(versions[deployment % 2]!, 'test');
    }
    over = true;
    await Promise.all(clients);
    assert.deepEqual([...seen.keys()].sort(), ['200 its own', '422']);
  } finally {
    await platform.stop();
    await builder.close();
    rmSync(folder, { recursive: true });
  }
});
