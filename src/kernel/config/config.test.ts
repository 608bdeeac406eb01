import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { isMillraceError, type MillraceError } from '../errors.ts';
import { configRows, flagOptions, renderConfigHelp } from './help.ts';
import { loadConfigFile } from './load-file.ts';
import { editDistance, nearest } from './nearest.ts';
import { platformSection } from './platform-section.ts';
import { resolveConfig } from './resolve.ts';
import { defineSection } from './section.ts';

const room = defineSection('room', 'A room', {
  mode: { kind: 'string', default: 'calm', choices: ['calm', 'busy'], description: 'How it works' },
  workers: { kind: 'integer', default: 2, min: 1, max: 64, description: 'Workers' },
  wait: { kind: 'duration', default: '5s', description: 'Wait' },
  cache: { kind: 'bytes', default: '64mb', description: 'Cache' },
  origins: { kind: 'list', default: [], description: 'Origins' },
  verbose: { kind: 'boolean', default: false, description: 'Talk' },
  label: { kind: 'string', default: null, description: 'Label' },
});

function refusal(act: () => unknown): MillraceError {
  try {
    act();
  } catch (error) {
    assert.ok(isMillraceError(error, 'CONFIG_INVALID'), String(error));
    return error;
  }
  return assert.fail('it was accepted');
}

describe('configuration', () => {
  it('falls back to the defaults, in base units', () => {
    const config = resolveConfig([platformSection, room]);
    assert.equal(config.platform.data, '.millrace');
    assert.deepEqual([config.platform.edgePort, config.platform.apiPort], [7400, 7401]);
    assert.deepEqual(
      { ...config.room },
      {
        mode: 'calm',
        workers: 2,
        wait: 5000,
        cache: 64 * 1024 * 1024,
        origins: [],
        verbose: false,
        label: null,
      },
    );
    const mode: 'calm' | 'busy' = config.room.mode;
    const label: string | null = config.room.label;
    assert.deepEqual([mode, label], ['calm', null]);
  });

  it('prefers flags to variables, those to the file, and that to the defaults', () => {
    const file = { edgePort: 1, apiPort: 1, drain: '1s' };
    const env = { MILLRACE_EDGE_PORT: '2', MILLRACE_API_PORT: '2', PATH: '/bin' };
    const { platform } = resolveConfig([platformSection], { file, env, flags: { 'edge-port': '3' } });
    assert.deepEqual([platform.edgePort, platform.apiPort, platform.drain], [3, 2, 1000]);
  });

  it('takes off and 0 for a port, and nothing that is not a port', () => {
    const portOf = (value: unknown) =>
      resolveConfig([platformSection], { file: { edgePort: value } }).platform.edgePort;
    assert.equal(portOf('off'), 'off');
    assert.equal(portOf(0), 0);
    for (const bad of ['', '65536', -1, 1.5, 'on', null, true]) refusal(() => portOf(bad));
  });

  it('reads every kind from text and from values', () => {
    const fromText = resolveConfig([room], {
      env: {
        MILLRACE_MODE: 'busy',
        MILLRACE_WORKERS: '8',
        MILLRACE_WAIT: '1500',
        MILLRACE_CACHE: '1kb',
        MILLRACE_ORIGINS: 'a, b',
        MILLRACE_VERBOSE: 'true',
        MILLRACE_LABEL: 'x',
      },
    });
    const fromFile = resolveConfig([room], {
      file: {
        mode: 'busy',
        workers: 8,
        wait: 1500,
        cache: 1024,
        origins: ['a', 'b'],
        verbose: true,
        label: 'x',
      },
    });
    assert.deepEqual(fromText, fromFile);
    assert.equal(fromText.room.wait, 1500);
    assert.deepEqual(fromText.room.origins, ['a', 'b']);
  });

  it('names every problem at once, with the nearest known name', () => {
    const error = refusal(() =>
      resolveConfig([platformSection, room], {
        flags: { 'egde-port': '1', workers: '0' },
        env: { MILLRACE_API_PROT: '1', MILLRACE_WAIT: 'soon', MILLRACE_TOKEN: 't' },
        file: { dta: 'x', mode: 'frantic' },
        otherVariables: ['MILLRACE_TOKEN'],
      }),
    );
    assert.deepEqual(
      error.errors.map((each) => each.path),
      ['--egde-port', 'MILLRACE_API_PROT', 'dta', 'mode', '--workers', 'MILLRACE_WAIT'],
    );
    assert.match(error.message, /no flag --egde-port\. Did you mean --edge-port\?/);
    assert.match(error.message, /no variable MILLRACE_API_PROT\. Did you mean MILLRACE_API_PORT\?/);
    assert.match(error.message, /no key dta\. Did you mean data\?/);
    assert.match(error.message, /"frantic" is not one of calm, busy/);
  });

  it('gives an object that nobody can change', () => {
    const config = resolveConfig([room], { file: { origins: ['a'] } });
    assert.throws(() => Object.assign(config.room, { workers: 9 }), TypeError);
    assert.throws(() => (config.room.origins as string[]).push('b'), TypeError);
  });

  it('refuses two sections with the same key', () => {
    const twin = defineSection('twin', 'Twin', { data: { kind: 'path', default: 'x', description: 'x' } });
    assert.match(
      refusal(() => resolveConfig([platformSection, twin])).message,
      /platform and twin both define data/,
    );
  });

  it('does not mistake names of Object for fields', () => {
    assert.match(refusal(() => resolveConfig([room], { file: { constructor: 1 } })).message, /constructor/);
    assert.equal(resolveConfig([room], { file: {} }).room.label, null);
  });

  it('renders help and the options that parse its flags', () => {
    const help = renderConfigHelp([platformSection, room]);
    assert.match(help, /^Platform:\n {2}--data PATH +Folder that holds all data \(\.millrace\)$/m);
    assert.match(help, /--mode calm\|busy +How it works \(calm\)/);
    const { values } = parseArgs({
      args: ['--edge-port', 'off', '--verbose', '--origins', 'a', '--origins', 'b'],
      options: flagOptions([platformSection, room]),
      allowNegative: true,
    });
    const config = resolveConfig([platformSection, room], { flags: values });
    assert.equal(config.platform.edgePort, 'off');
    assert.equal(config.room.verbose, true);
    assert.deepEqual(config.room.origins, ['a', 'b']);
  });
});

describe('the configuration file', () => {
  it('is optional, unless it was named', async () => {
    await using folder = await temporaryFolder();
    assert.deepEqual(await loadConfigFile(folder.path), {});
    await assert.rejects(loadConfigFile(folder.path, 'other.ts'), (error) =>
      isMillraceError(error, 'CONFIG_INVALID'),
    );
  });

  it('is a TypeScript module with a default export', async () => {
    await using folder = await temporaryFolder();
    await writeFile(
      join(folder.path, 'millrace.config.ts'),
      'const port: number = 8;\nexport default { edgePort: port };',
    );
    assert.deepEqual(await loadConfigFile(folder.path), { edgePort: 8 });
  });

  it('that cannot be read is refused with its path and the reason', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'broken.ts'), 'export default {');
    await writeFile(join(folder.path, 'empty.ts'), 'export const config = {};');
    for (const name of ['broken.ts', 'empty.ts']) {
      await assert.rejects(loadConfigFile(folder.path, name), (error: Error) => {
        assert.ok(isMillraceError(error, 'CONFIG_INVALID'));
        assert.ok(error.message.includes(join(folder.path, name)));
        return true;
      });
    }
  });
});

describe('the nearest name', () => {
  it('is a metric on texts', () => {
    const text = fc.string({ maxLength: 8 });
    fc.assert(
      fc.property(text, text, (a, b) => {
        const distance = editDistance(a, b);
        assert.equal(distance, editDistance(b, a));
        assert.equal(distance === 0, a === b);
        assert.ok(distance <= Math.max(a.length, b.length));
        assert.ok(distance >= Math.abs(a.length - b.length));
      }),
    );
    assert.equal(editDistance('kitten', 'sitting'), 3);
    assert.equal(editDistance('prot', 'port'), 1);
  });

  it('is nothing when all are far away', () => {
    assert.equal(nearest('zzzzzzzz', ['edgePort', 'data']), undefined);
  });
});

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-config-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

describe('docs/configuration.md', () => {
  it('lists every setting of the platform with its flag, variable and default', async () => {
    const page = await readFile(join(import.meta.dirname, '../../../docs/configuration.md'), 'utf8');
    for (const row of configRows([platformSection])) {
      const fallback = row.default === null ? '' : `\`${row.default}\``;
      const start = `| \`${row.key}\` | \`${row.flag}\` | \`${row.variable}\` | ${row.kind} | ${fallback} |`;
      assert.ok(page.includes(start), `docs/configuration.md lacks: ${start}`);
    }
  });
});
