import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { launch, millrace, startPlatform, type TestPlatform } from './cli.fixture.ts';

let platform: TestPlatform;

const createStream = async (name: string, more: object = {}): Promise<void> => {
  const body = JSON.stringify({ name, ...more });
  const response = await fetch(`${platform.url}/streams`, { method: 'POST', body });
  assert.equal(response.status, 201);
};

describe('commands against a running platform', () => {
  before(async () => {
    platform = await startPlatform();
  });
  after(() => platform[Symbol.asyncDispose]());

  it('emit and tail work beside curl', async () => {
    await createStream('greetings');
    const emitted = await platform.run(['emit', 'greetings', '--key', 'k', '--data', '{"hello":"world"}']);
    assert.deepEqual(emitted, { exitCode: 0, stdout: 'partition 0 offset 0\n', stderr: '' });
    await fetch(`${platform.url}/streams/greetings/records`, {
      method: 'POST',
      body: '12345678901234567890',
    });
    const words = ['tail', 'greetings', '--from', 'start', '--limit', '2'];
    const tailed = await platform.run(words);
    assert.equal(tailed.exitCode, 0);
    assert.match(
      tailed.stdout,
      /^\S+Z {2}0:0 {2}k {2}\{"hello":"world"\}\n\S+Z {2}0:1 {2}- {2}12345678901234567890\n$/,
    );
    const json = await platform.run([...words, '--json']);
    const [record] = json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual([record.offset, record.key, record.value], [0, 'k', { hello: 'world' }]);
  });

  it('emit reads any number of lines from standard input', async () => {
    await createStream('lines', { partitions: 2 });
    const input = `${Array.from({ length: 20_000 }, (_, index) => JSON.stringify({ index })).join('\n')}\n`;
    const piped = await platform.run(['emit', 'lines', '-', '--json'], { input });
    assert.deepEqual([piped.exitCode, piped.stdout], [0, '{"records":20000}\n']);
    const shown = await platform.run(['show', 'lines', '--json']);
    const { offsets } = JSON.parse(shown.stdout) as { offsets: { end: number }[] };
    assert.equal(
      offsets.reduce((sum, { end }) => sum + end, 0),
      20_000,
    );
    const broken = await platform.run(['emit', 'lines', '--data', '-'], { input: '{"a":1}\n{broken\n' });
    assert.equal(broken.exitCode, 1);
    assert.match(broken.stderr, /Invalid JSON on line 2/);
    const nothing = await platform.run(['emit', 'lines', '-']);
    assert.deepEqual([nothing.exitCode, nothing.stderr], [0, '0 records published\n']);
  });

  it('emit reads a record from a file', async () => {
    await createStream('files');
    await writeFile(join(platform.folder, 'record.json'), '{\n "a": 1\n}');
    assert.equal((await platform.run(['emit', 'files', '--data', '@record.json'])).exitCode, 0);
    const missing = await platform.run(['emit', 'files', '--data', '@nope.json']);
    assert.deepEqual([missing.exitCode, missing.stdout], [1, '']);
    assert.match(missing.stderr, /nope\.json cannot be read/);
  });

  it('ls, show and status tell what there is, for people and for programs', async () => {
    const ls = await platform.run(['ls']);
    assert.match(ls.stdout, /^STREAM +PARTITIONS +RECORDS +PER S +LAG +OWNER\n/);
    assert.match(ls.stdout, /^lines +2 +20000 +[\d.]+ +0 +-$/m);
    assert.doesNotMatch(ls.stdout, /millrace\.audit/);
    assert.match((await platform.run(['ls', '--all'])).stdout, /^millrace\.audit/m);
    const show = await platform.run(['show', 'lines']);
    assert.match(show.stdout, /^PARTITION +START +END\n0 +0 +\d+$/m);
    const status = await platform.run(['status', '--json']);
    const { state, addresses } = JSON.parse(status.stdout) as { state: string; addresses: { api: string } };
    assert.deepEqual([state, addresses.api], ['running', platform.url]);
  });

  it('what is not there has exit code 3, what is refused 5', async () => {
    for (const words of [
      ['show', 'nope'],
      ['tail', 'nope'],
      ['emit', 'nope', '--data', '1'],
    ]) {
      const { exitCode, stdout, stderr } = await platform.run(words);
      assert.deepEqual([exitCode, stdout], [3, ''], words.join(' '));
      assert.match(stderr, /nope/);
    }
    assert.equal((await platform.run(['ls', '--token', 'mlr_wrong'])).exitCode, 5);
  });

  it('tokens are made, listed, obeyed and revoked', async () => {
    const made = await platform.run(['token', 'create', 'ci', '--scopes', 'read']);
    const token = made.stdout.trim();
    assert.match(token, /^mlr_/);
    assert.equal((await platform.run(['ls', '--token', token])).exitCode, 0);
    assert.equal((await platform.run(['emit', 'files', '--data', '1', '--token', token])).exitCode, 5);
    const listed = await platform.run(['token', 'ls', '--json']);
    const [{ id, name }] = (JSON.parse(listed.stdout) as { tokens: { id: string; name: string }[] })
      .tokens as [{ id: string; name: string }];
    assert.equal(name, 'ci');
    assert.equal((await platform.run(['token', 'rm', id])).exitCode, 0);
    assert.equal((await platform.run(['ls', '--token', token])).exitCode, 5);
  });

  it('tail as a member of a group goes on where the group was', async () => {
    await createStream('jobs');
    const publish = (input: string) => platform.run(['emit', 'jobs', '-'], { input });
    await publish('1\n2\n3\n');
    const words = ['tail', 'jobs', '--group', 'workers', '--from', 'start', '--json'];
    const first = launch([...words, '--url', platform.url]);
    await first.seen(/"offset":2/);
    first.process.kill('SIGINT');
    assert.equal((await first.outcome).exitCode, 0);
    await publish('4\n');
    const lag = async () => {
      const { stdout } = await platform.run(['show', 'jobs', '--json']);
      const { groups } = JSON.parse(stdout) as { groups: { group: string; lag: number }[] };
      return groups.find(({ group }) => group === 'workers')?.lag;
    };
    const second = launch([...words, '--url', platform.url]);
    await second.seen(/"value":4/);
    second.process.kill('SIGINT');
    const outcome = await second.outcome;
    const seen = outcome.stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { value: number }).value);
    assert.ok(seen.length <= 4 && seen.at(-1) === 4, `seen again: ${seen}`);
    assert.ok((await lag()) !== undefined);
  });

  it('Ctrl-C ends tail with exit code 0, and so does a reader that has enough', async () => {
    await createStream('clicks');
    const tailing = launch(['tail', 'clicks', '--from', 'start', '--url', platform.url]);
    await platform.run(['emit', 'clicks', '--data', '1']);
    await tailing.seen(/0:0/);
    tailing.process.kill('SIGINT');
    assert.deepEqual((await tailing.outcome).exitCode, 0);

    const piped = launch(['tail', 'clicks', '--from', 'start', '--url', platform.url]);
    await piped.seen(/0:0/);
    piped.process.stdout?.destroy();
    await platform.run(['emit', 'clicks', '-'], { input: '2\n'.repeat(10) });
    const { exitCode, stderr } = await piped.outcome;
    assert.deepEqual([exitCode, stderr], [0, '']);
  });

  it('verify asks the platform, and refuses nothing to one that is stopped', async () => {
    const asked = await platform.run(['verify', '--json']);
    const report = JSON.parse(asked.stdout) as { records: number; damages: unknown[] };
    assert.equal(asked.exitCode, 0);
    assert.ok(report.records > 20_000);
    assert.deepEqual(report.damages, []);
    const nowhere = await millrace(['verify', '--data', join(platform.folder, 'nope')]);
    assert.equal(nowhere.exitCode, 3);
    assert.match(nowhere.stderr, /There is no data folder/);
  });
});
