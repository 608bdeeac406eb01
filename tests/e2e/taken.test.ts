import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isMillraceError } from '../../src/kernel/index.ts';
import { createPlatform, loadConfig } from '../../src/main.ts';

/** A port that another program listens on. */
async function takenPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}

function temporaryFolder() {
  const path = mkdtempSync(join(tmpdir(), 'millrace-taken-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

const configure = (folder: string, flags: Record<string, string>) =>
  loadConfig({ flags: { data: join(folder, 'data'), ...flags }, env: {}, folder });

test('ports that are taken are refused with the remedy, or replaced by free ones where asked', async () => {
  using folder = temporaryFolder();
  await using edge = await takenPort();
  await using api = await takenPort();
  await using kafka = await takenPort();
  const config = await configure(folder.path, {
    'edge-port': `${edge.port}`,
    'api-port': `${api.port}`,
    'kafka-port': `${kafka.port}`,
  });

  await assert.rejects(createPlatform(config).start(), (error: Error) => {
    assert.ok(isMillraceError(error, 'PORT_IN_USE'), String(error));
    assert.match(error.message, /is taken.*--(edge|api|kafka)-port/);
    return true;
  });

  await using platform = createPlatform(config, { fallbackPorts: true });
  await platform.start();
  const ports = [platform.addresses.edge, platform.addresses.api].map((url) => Number(new URL(url!).port));
  assert.ok(!ports.includes(edge.port) && !ports.includes(api.port), ports.join());
  assert.notEqual(platform.addresses.kafka, `127.0.0.1:${kafka.port}`);
  assert.match(platform.addresses.kafka!, /^127\.0\.0\.1:\d+$/);
  assert.equal((await fetch(`${platform.addresses.api}/readyz`)).status, 200);
  assert.equal((await fetch(`${platform.addresses.edge}/nothing`)).status, 404);
});

test('the second program on a data folder is refused with the process that has it and the remedy; the first goes on', async () => {
  using folder = temporaryFolder();
  const config = await configure(folder.path, { 'edge-port': '0', 'api-port': '0', 'kafka-port': '0' });
  await using first = createPlatform(config);
  await first.start();
  const second = createPlatform(config, { fallbackPorts: true });
  await assert.rejects(second.start(), (error: Error) => {
    assert.ok(isMillraceError(error, 'DATA_FOLDER_LOCKED'), String(error));
    assert.match(error.message, new RegExp(`process ${process.pid}\\b.*--data`));
    return true;
  });
  assert.equal((await fetch(`${first.addresses.api}/readyz`)).status, 200);
  await first.stop();
  await using next = createPlatform(config);
  await next.start();
});
