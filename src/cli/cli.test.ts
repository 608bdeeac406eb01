import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { millrace } from './cli.fixture.ts';
import { COMMANDS } from './commands.ts';
import { nearestName } from './nearest.ts';

const NOWHERE = ['--url', 'http://127.0.0.1:9'];

describe('the command line', () => {
  it('tells its version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    assert.deepEqual(await millrace(['--version']), { exitCode: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('shows help on stdout when asked, on stderr with exit code 2 when nothing was said', async () => {
    const asked = await millrace(['help']);
    assert.equal(asked.exitCode, 0);
    const silent = await millrace([]);
    assert.deepEqual([silent.exitCode, silent.stdout, silent.stderr.trim()], [2, '', asked.stdout.trim()]);
    for (const { name } of COMMANDS) assert.match(asked.stdout, new RegExp(`^  ${name} `, 'm'));
  });

  it('has help with an example for every command, within 80 columns', async () => {
    for (const { name } of COMMANDS) {
      const { exitCode, stdout } = await millrace(['help', name]);
      assert.equal(exitCode, 0, name);
      assert.match(stdout, /^Usage:(?: |\n {2})millrace /);
      assert.match(stdout, /Examples?:\n {2}\S*\s?.*millrace /, name);
      const [explained] = stdout.split(/^Examples?:/m);
      const long = explained!.split('\n').filter((line) => line.length > 80);
      assert.deepEqual(long, [], name);
    }
    const [byFlag, byWord] = await Promise.all([millrace(['tail', '--help']), millrace(['help', 'tail'])]);
    assert.deepEqual(byFlag, byWord);
  });

  it('answers what it does not know with the nearest thing it knows, and exit code 2', async () => {
    const cases: [string[], RegExp][] = [
      [['tial', 'a'], /no command tial\. Did you mean tail\?/],
      [['zzzzzz'], /no command zzzzzz\. See `millrace help`/],
      [['tail', 'a', '--form', 'x'], /tail has no option --form\. Did you mean --from\?/],
      [['tail'], /tail needs more\. Usage:\s+millrace tail STREAM/],
      [['secret'], /secret needs more\. Usage:\n {2}millrace secret set NAME\n {2}millrace secret ls\n/],
      [['show', 'a', 'b'], /does not know what to do with 'b'/],
      [['tail', 'a', '--limit', 'x'], /--limit x is not a number/],
      [['emit', 'a', 'b'], /'b' is not -/],
      [['tail', 'a', '--from'], /--from/],
      [['token', 'creat'], /token cannot creat\. Did you mean create\?/],
      [['--jsn'], /no option --jsn/],
    ];
    const outcomes = await Promise.all(cases.map(([words]) => millrace([...words])));
    for (const [index, { exitCode, stdout, stderr }] of outcomes.entries()) {
      assert.equal(exitCode, 2, cases[index]![0].join(' '));
      assert.equal(stdout, '');
      assert.match(stderr, cases[index]![1]);
    }
  });

  it('says what to do when no platform answers, with exit code 4', async () => {
    const lines = [['ls'], ['status'], ['show', 'a'], ['tail', 'a'], ['emit', 'a', '--data', '1']];
    const outcomes = await Promise.all(lines.map((words) => millrace([...words, ...NOWHERE])));
    for (const { exitCode, stdout, stderr } of outcomes) {
      assert.deepEqual([exitCode, stdout], [4, '']);
      assert.match(stderr, /No platform answers at http:\/\/127\.0\.0\.1:9.*millrace start/);
    }
    const json = await millrace(['ls', '--json', ...NOWHERE]);
    assert.match((JSON.parse(json.stderr) as { detail: string }).detail, /No platform answers/);
    assert.equal((await millrace(['ls', '--url', 'nonsense'])).exitCode, 2);
    assert.equal((await millrace(['ls'], { env: { MILLRACE_URL: NOWHERE[1]! } })).exitCode, 4);
  });

  it('finds the nearest name only when one is near', () => {
    assert.equal(nearestName('sart', ['start', 'status']), 'start');
    assert.equal(nearestName('tial', ['tail', 'ls']), 'tail');
    assert.equal(nearestName('xyz', ['start', 'status']), undefined);
  });
});
