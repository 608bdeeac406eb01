import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ERROR_TABLE, type ErrorCode } from './error-table.ts';

const source = join(import.meta.dirname, '..');
const page = join(source, '..', 'docs', 'errors.md');
const codes = Object.keys(ERROR_TABLE) as ErrorCode[];

interface Row {
  readonly code: string;
  readonly status: string;
  readonly action: string;
  readonly meaning: string;
}

function documentedRows(): Row[] {
  const rows = readFileSync(page, 'utf8').matchAll(/^\| `([A-Z_]+)` \| (\d+) \| (\w+) \| (.+) \|$/gm);
  return [...rows].map(([, code, status, action, meaning]) => ({
    code: code!,
    status: status!,
    action: action!,
    meaning: meaning!,
  }));
}

function sourceFiles(): Map<string, string> {
  const paths = globSync('**/*.ts', { cwd: source }).filter(
    (path) => !/\.(test|check|contract|fixture|support)\.ts$/.test(path) && !path.endsWith('error-table.ts'),
  );
  return new Map(paths.map((path) => [path, readFileSync(join(source, path), 'utf8')]));
}

describe('the table of errors', () => {
  it('is what docs/errors.md says: the same codes in the same order, with status, action and title', () => {
    const expected = codes.map((code) => {
      const { status, action, title } = ERROR_TABLE[code];
      return `${code} ${status} ${action} ${title}`;
    });
    const found = documentedRows().map(
      ({ code, status, action, meaning }) => `${code} ${status} ${action} ${meaning.split('.')[0]}`,
    );
    assert.deepEqual(found, expected);
  });

  it('has a remedy for every code', () => {
    for (const { code, meaning } of documentedRows()) {
      const remedy = meaning.slice(meaning.indexOf('.') + 1).trim();
      assert.ok(remedy.length >= 15, `docs/errors.md says no remedy for ${code}`);
    }
  });

  it('holds every code that is thrown', () => {
    const unknown: string[] = [];
    for (const [path, text] of sourceFiles()) {
      for (const [, code] of text.matchAll(/new MillraceError\(\s*['"`]([^'"`]+)['"`]/g)) {
        if (!Object.hasOwn(ERROR_TABLE, code!)) unknown.push(`src/${path}: ${code}`);
      }
    }
    assert.deepEqual(unknown, []);
  });

  it('holds no code that nothing uses', () => {
    const text = [...sourceFiles().values()].join('\n');
    assert.deepEqual(
      codes.filter((code) => !text.includes(`'${code}'`)),
      [],
    );
  });

  it('gives every code a status that fits what the caller is to do', () => {
    for (const code of codes) {
      const { status, action, title } = ERROR_TABLE[code];
      assert.ok(status >= 400 && status < 600, code);
      assert.ok(!title.includes('.'), `${code}: a title is a phrase, without a full stop`);
      if (status === 429) assert.equal(action, 'retry', code);
    }
  });
});
