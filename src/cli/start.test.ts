import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { configurationFields } from '../main.ts';
import { launch, millrace, startPlatform } from './cli.fixture.ts';

const CLOSED = ['--api-port', '0', '--edge-port', '0', '--kafka-port', '0'];

describe('millrace start', () => {
  it('prints the line that programs wait for, serves, and stops in order on the first signal', async () => {
    await using platform = await startPlatform();
    const ready = JSON.parse((await platform.launched.seen(/\n/)).split('\n')[0]!);
    assert.equal(ready.ready, true);
    assert.ok(Number.isInteger(ready.startedInMs));
    assert.ok('edge' in ready && 'kafka' in ready);
    assert.equal((await fetch(`${ready.api}/readyz`)).status, 200);
    platform.launched.process.kill('SIGTERM');
    const { exitCode, stderr } = await platform.launched.outcome;
    assert.equal(exitCode, 0);
    assert.match(stderr, /SIGTERM; stopping/);
    await assert.rejects(fetch(`${ready.api}/readyz`));
  });

  it('ends at once on the second signal', async () => {
    await using platform = await startPlatform(['--drain', '60s']);
    const { port } = new URL(platform.url);
    const socket = connect(Number(port), '127.0.0.1');
    await fetch(`${platform.url}/streams`, { method: 'POST', body: '{"name":"a"}' });
    // A request that never ends keeps the first signal waiting.
    socket.write('POST /streams/a/records HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n');
    socket.on('error', () => undefined);
    await fetch(`${platform.url}/healthz`);
    platform.launched.process.kill('SIGINT');
    while (await isServing(platform.url)) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(platform.launched.process.exitCode, null);
    platform.launched.process.kill('SIGINT');
    assert.equal((await platform.launched.outcome).exitCode, 130);
    socket.destroy();
  });

  it('keeps what it acknowledged, through a stop and through a kill', async () => {
    await using first = await startPlatform();
    const data = join(first.folder, 'data');
    await fetch(`${first.url}/streams`, { method: 'POST', body: '{"name":"a"}' });
    assert.equal((await first.run(['emit', 'a', '--data', '{"n":1}'])).exitCode, 0);
    first.launched.process.kill('SIGKILL');
    await first.launched.outcome;
    assert.equal((await millrace(['verify', '--data', data])).exitCode, 0);
    const again = launch(['start', '--json', '--data', data, ...CLOSED]);
    const { api } = JSON.parse((await again.seen(/\n/)).split('\n')[0]!);
    const read = (await (await fetch(`${api}/streams/a/records`)).json()) as {
      records: { value: unknown }[];
    };
    assert.deepEqual(
      read.records.map(({ value }) => value),
      [{ n: 1 }],
    );
    again.process.kill('SIGTERM');
    assert.equal((await again.outcome).exitCode, 0);
  });

  it('refuses a start that cannot work with one clear line, the remedy and exit code 1', async () => {
    await using running = await startPlatform();
    const data = join(running.folder, 'data');
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as { port: number };
    const other = ['--data', join(running.folder, 'other')];
    const cases: [string[], RegExp][] = [
      [
        ['--data', data, ...CLOSED],
        new RegExp(`process ${running.launched.process.pid}\\b.*data folder.*--data`),
      ],
      [[...other, '--api-port', String(port)], /Port \d+ on 127\.0\.0\.1 is taken.*--api-port/],
      [[...other, '--api-port', '70000'], /--api-port/],
      [[...other, ...CLOSED, '--api-host', '0.0.0.0'], /open to others.*token create.*--tls-certificate/],
      [[...other, ...CLOSED, '--tls-certificate', 'x.pem'], /--tls-key/],
      [[...other, ...CLOSED, '--tls-certificate', 'x.pem', '--tls-key', 'y.pem'], /cannot be used/],
    ];
    for (const [words, message] of cases) {
      const { exitCode, stdout, stderr } = await millrace(['start', ...words]);
      assert.deepEqual([exitCode, stdout], [1, ''], `${words}: ${stderr}`);
      assert.match(stderr, message);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
    }
    taken.close();
  });

  it('finds damage: verify names it and ends with exit code 1', async () => {
    await using platform = await startPlatform();
    const data = join(platform.folder, 'data');
    await fetch(`${platform.url}/streams`, { method: 'POST', body: '{"name":"a"}' });
    await platform.run(['emit', 'a', '-'], { input: '{"some":"record"}\n'.repeat(100) });
    platform.launched.process.kill('SIGTERM');
    await platform.launched.outcome;
    damageLargestSegment(join(data, 'log'));
    const { exitCode, stdout } = await millrace(['verify', '--data', data, '--json']);
    assert.equal(exitCode, 1);
    const { damages } = JSON.parse(stdout) as { damages: { topic: string; detail: string }[] };
    assert.equal(damages[0]?.topic, 'a');
    assert.match((await millrace(['verify', '--data', data])).stdout, /^damaged: .*a\/0/);
  });

  it('tells every flag of the configuration in its help', async () => {
    const { stdout } = await millrace(['help', 'start']);
    for (const { flag } of configurationFields()) assert.ok(stdout.includes(`--${flag}`), flag);
  });
});

async function isServing(url: string): Promise<boolean> {
  return fetch(`${url}/streams`).then(
    (response) => response.ok,
    () => false,
  );
}

/** Flips one bit in the middle of the largest file that holds the text. */
function damageLargestSegment(folder: string): void {
  const files = (readdirSync(folder, { recursive: true }) as string[])
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile() && readFileSync(path).includes('some'))
    .filter((path) => !path.includes('wal'));
  assert.ok(files.length > 0, 'no segment holds the records');
  const path = files[0]!;
  const bytes = readFileSync(path);
  const at = bytes.indexOf('some');
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(path, bytes);
}
