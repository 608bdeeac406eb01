import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { launch, millrace } from './cli.fixture.ts';

interface Status {
  readonly addresses: { readonly api: string };
}

/** A platform on ports that nobody knows beforehand, started in a folder of its own. */
async function startHere() {
  const cwd = mkdtempSync(join(tmpdir(), 'millrace-address-'));
  const launched = launch(['start', '--json', '--api-port', '0', '--edge-port', '0', '--kafka-port', 'off'], {
    cwd,
  });
  const { api } = JSON.parse((await launched.seen(/\n/)).split('\n')[0]!) as { api: string };
  return {
    cwd,
    api,
    file: join(cwd, '.millrace', 'addresses.json'),
    async end(name: NodeJS.Signals) {
      launched.process.kill(name);
      await launched.outcome;
    },
    async [Symbol.asyncDispose]() {
      launched.process.kill('SIGKILL');
      await launched.outcome;
      rmSync(cwd, { recursive: true });
    },
  };
}

const apiOf = (stdout: string): string => (JSON.parse(stdout) as Status).addresses.api;

describe('commands find the platform', () => {
  it('that runs on the data folder, by the working folder, --data or MILLRACE_DATA', async () => {
    await using platform = await startHere();
    const { api, cwd } = platform;
    const data = join(cwd, '.millrace');
    const asked = await Promise.all([
      millrace(['status', '--json'], { cwd }),
      millrace(['status', '--json', '--data', data]),
      millrace(['status', '--json'], { env: { MILLRACE_DATA: data } }),
    ]);
    for (const { exitCode, stdout, stderr } of asked) {
      assert.equal(exitCode, 0, stderr);
      assert.equal(apiOf(stdout), api);
    }
    await fetch(`${api}/streams`, { method: 'POST', body: '{"name":"a"}' });
    const emitted = await millrace(['emit', 'a', '--data', '{"n":1}'], { cwd });
    assert.deepEqual([emitted.exitCode, emitted.stdout], [0, 'partition 0 offset 0\n']);
  });

  it('unless --url or MILLRACE_URL names another', async () => {
    await using platform = await startHere();
    const { cwd } = platform;
    const nowhere = 'http://127.0.0.1:9';
    const asked = await Promise.all([
      millrace(['ls', '--url', nowhere], { cwd }),
      millrace(['ls'], { cwd, env: { MILLRACE_URL: nowhere } }),
    ]);
    for (const { exitCode, stderr } of asked) {
      assert.equal(exitCode, 4);
      assert.match(stderr, /No platform answers at http:\/\/127\.0\.0\.1:9\b.*millrace start.*--url/);
    }
  });

  it('as long as it runs: its addresses go with it, and those of a process that is gone count for nothing', async () => {
    await using platform = await startHere();
    const { api, cwd, file } = platform;
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const told = readFileSync(file, 'utf8');
    await platform.end('SIGTERM');
    assert.throws(() => statSync(file), { code: 'ENOENT' });
    writeFileSync(file, told);
    assert.ok(!(await millrace(['ls'], { cwd })).stderr.includes(api));
    writeFileSync(file, JSON.stringify({ ...JSON.parse(told), pid: process.pid }));
    const { exitCode, stderr } = await millrace(['ls'], { cwd });
    assert.equal(exitCode, 4);
    assert.ok(stderr.includes(api), stderr);
  });
});
