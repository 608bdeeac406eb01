import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { SECTIONS } from '../main.ts';

test('the keys of a configuration file are those that the platform knows', async () => {
  const source = await readFile(join(import.meta.dirname, '..', 'sdk', 'config.ts'), 'utf8');
  const typed = [...source.matchAll(/^ {2}readonly (\w+)\?:/gm)].map((match) => match[1]!);
  const known = SECTIONS.flatMap((section) => Object.keys(section.fields));
  assert.deepEqual(typed.sort(), known.sort());
});
