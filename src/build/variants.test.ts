import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createShapeCache, makeVariants, variantId } from './variants.ts';

/** The copy of a module for each of its exports. */
async function copiesOf(source: string, exportNames: readonly string[]): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-variants-'));
  try {
    const entry = join(folder, 'app.ts');
    writeFileSync(entry, source);
    const { code } = await makeVariants(entry, exportNames, createShapeCache());
    return exportNames.map((name) => code.get(variantId(entry, name))!);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('what a copy keeps stands at the line and column where it was written', async () => {
  const source = `/** @jsx h */
import { fn } from 'millrace';\r
const used = 1; const unused = 2; const alsoUsed = 3;
/* left out */ export const other = fn('other', {}, () => unused);
export const mine = fn('mine', {}, () => used + alsoUsed); export const last = 1;
`;
  const [copy] = await copiesOf(source, ['mine']);
  const lines = copy!.split('\n');
  for (const [index, line] of source.split('\n').entries()) {
    for (const kept of ['/** @jsx h */', 'const used', 'const alsoUsed', 'export const mine', 'import']) {
      if (line.includes(kept)) assert.equal(lines[index]!.indexOf(kept), line.indexOf(kept), kept);
    }
  }
  for (const gone of ['unused', 'other', 'last']) assert.ok(!copy!.includes(gone), gone);
});

test('a copy holds of the other functions no more than their line breaks', async () => {
  const names = Array.from({ length: 300 }, (_, index) => `f${index}`);
  const lines = names.map((name) => `export const ${name} = fn('${name}', {}, () => '${'x'.repeat(200)}');`);
  const copies = await copiesOf(["import { fn } from 'millrace';", ...lines].join('\n'), names);
  for (const copy of copies) assert.ok(copy.length < 1000, `${copy.length} characters`);
});
