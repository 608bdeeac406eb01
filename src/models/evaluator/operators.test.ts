import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { DOMAINS, OPERATORS } from './operators.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/onnx.md'), 'utf8');

/** The lists as the page has them: domain, then a row for each opset. */
function documented(): string[] {
  const sections = page.slice(page.indexOf('## Operators')).split('\n### ').slice(1);
  return sections.flatMap((section) => {
    const domain = section.slice(0, section.indexOf('\n'));
    const rows = section.matchAll(/^\| (\d+) \| (`.+`) \|$/gm);
    return [...rows].flatMap(([, since, names]) =>
      names!.split(', ').map((name) => `${domain} ${name.replaceAll('`', '')} from ${since}`),
    );
  });
}

describe('the operators', () => {
  it('are those that docs/onnx.md lists, from the same opset on', () => {
    const there = [...OPERATORS].flatMap(([domain, operators]) =>
      [...operators].map(([name, { since }]) => `${domain || 'ai.onnx'} ${name} from ${since}`),
    );
    assert.deepEqual(documented().sort(), there.sort());
  });

  it('are there up to the opsets that docs/onnx.md names', () => {
    for (const [domain, newest] of Object.entries(DOMAINS)) {
      assert.match(page, new RegExp(`\\b${newest} of \`${domain || 'ai.onnx'}\``));
    }
  });
});
