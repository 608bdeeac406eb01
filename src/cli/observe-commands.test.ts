import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import type { CommandCall } from './command.ts';
import { COMMANDS } from './commands.ts';
import { completionOf } from './completion.ts';
import type { Overview } from './overview.ts';
import { delay, renderTop, short } from './top-screen.ts';

async function scriptFor(shell: string): Promise<string> {
  let text = '';
  const terminal = { out: async (piece: string) => void (text += piece) };
  const call = { words: [shell], values: {}, json: false, terminal, client: {} } as unknown as CommandCall;
  assert.equal(await completionOf(COMMANDS).run(call), 0);
  return text;
}

/** What bash offers after these words, with `millrace` answering names as a platform with two streams would. */
function offered(script: string, words: readonly string[]): string[] {
  const list = words.map((word) => `'${word}'`).join(' ');
  const program = `millrace() { [[ "$*" == *streams* ]] && printf 'payments\\npayouts\\nalerts\\n'; }
${script}
COMP_WORDS=(millrace ${list}); COMP_CWORD=${words.length}; _millrace; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const run = spawnSync('bash', ['--norc', '-c', program], { encoding: 'utf8', timeout: 10_000 });
  assert.equal(run.stderr, '');
  return run.stdout.split('\n').filter((line) => line !== '');
}

describe('completion', () => {
  it('offers commands, actions, flags and names in bash', async (test) => {
    if (spawnSync('bash', ['--version']).error) return test.skip('bash is not here');
    const script = await scriptFor('bash');
    assert.deepEqual(offered(script, ['']).sort(), [...COMMANDS.map(({ name }) => name), 'help'].sort());
    assert.deepEqual(offered(script, ['ver']), ['versions', 'verify']);
    assert.deepEqual(offered(script, ['tail', 'pay']), ['payments', 'payouts']);
    assert.deepEqual(offered(script, ['--json', 'secret', 's']), ['set']);
    assert.deepEqual(offered(script, ['logs', '--le']), ['--level']);
    assert.deepEqual(offered(script, ['help', 'comp']), ['completion']);
  });

  it('names every command and flag for zsh and fish', async () => {
    for (const shell of ['zsh', 'fish']) {
      const script = await scriptFor(shell);
      for (const { name, load } of COMMANDS) {
        assert.ok(script.includes(name), `${shell}: ${name}`);
        for (const flag of Object.keys((await load()).command.options))
          assert.ok(script.includes(flag), flag);
      }
    }
  });

  it('refuses a shell that it does not know', async () => {
    await assert.rejects(scriptFor('fihs'), { exitCode: 2 });
  });
});

function overviewWith(streams: number, functions: number): Overview {
  const base = { state: 'running', version: '1', time: '', uptimeSeconds: 61, memoryBytes: 1e8 };
  return {
    ...base,
    counts: { streams, functions },
    streams: Array.from({ length: streams }, (_, at) => ({
      ...{
        name: `stream-${at}`,
        perSecond: at,
        bytesPerSecond: at * 100,
        records: at * 1000,
        lag: at,
        groups: [1],
      },
    })),
    functions: Array.from({ length: functions }, (_, at) => ({
      ...{
        name: `a-function-with-a-name-that-is-rather-long-${at}`,
        instances: 2,
        perSecond: at,
        p50Ms: 0.51,
      },
      ...{ errorsPerSecond: 1, deadLettersPerSecond: 0, throttledPerSecond: 0, p99Ms: 12_345 },
    })),
  };
}

describe('top', () => {
  it('fits the terminal, whatever there is, the busiest first', () => {
    for (const rows of [8, 12, 24, 50]) {
      for (const [streams, functions] of [
        [0, 0],
        [3, 2],
        [200, 200],
        [1, 200],
        [200, 1],
      ] as const) {
        const lines = renderTop(overviewWith(streams, functions), 80, rows);
        assert.ok(lines.length <= rows, `${lines.length} lines of ${rows}`);
        assert.ok(lines.every((line) => line.length <= 80));
        if (functions > 0) assert.ok(lines.some((line) => line.startsWith('a-function-with')));
      }
    }
    const lines = renderTop(overviewWith(200, 1), 80, 24);
    assert.match(lines[3]!, /^stream-199 +199 +0\.02 +199k +199$/);
    assert.ok(lines.some((line) => /^… \d+ more streams$/.test(line)));
    assert.deepEqual(
      renderTop(overviewWith(0, 0), 80, 24).filter((line) => line.startsWith('no ')),
      ['no streams yet', 'no functions yet'],
    );
  });

  it('shows nothing that moves the cursor', () => {
    const overview = overviewWith(1, 0);
    const hostile = { ...overview.streams[0]!, name: 'a\u001b[2Jb\nc' };
    const text = renderTop({ ...overview, streams: [hostile] }, 80, 24).join('');
    assert.ok(!text.includes('\u001b') && !text.includes('\n'));
  });

  it('writes numbers and delays short', () => {
    assert.deepEqual([0, 0.123, 9.99, 123.4, 1234, 1_234_567].map(short), [
      '0',
      '0.12',
      '9.99',
      '123',
      '1.23k',
      '1.23M',
    ]);
    assert.deepEqual([null, 0.51, 12.3, 12_345].map(delay), ['-', '0.5ms', '12ms', '12s']);
  });
});
