import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { SECTIONS } from '../main.ts';
import { kafka } from '../sdk/index.ts';

test('the keys of a configuration file are those that the platform knows', async () => {
  const source = await readFile(join(import.meta.dirname, '..', 'sdk', 'config.ts'), 'utf8');
  const [, config] = /interface MillraceConfig \{\n([\s\S]*?)\n\}/.exec(source)!;
  const typed = [...config!.matchAll(/^ {2}readonly (\w+)\?:/gm)].map((match) => match[1]!);
  // What `kafka({ … })` says at once, for those who say it by flags and variables.
  const part = kafka({
    brokers: ['a:1'],
    prefix: 'p',
    replicas: 3,
    session: '10s',
    tls: { ca: 'ca', certificate: 'certificate', key: 'key' },
    sasl: { mechanism: 'PLAIN', username: 'u', password: 'p' },
  });
  const known = SECTIONS.flatMap((section) => Object.keys(section.fields));
  assert.deepEqual([...new Set([...typed, ...Object.keys(part.settings)])].sort(), known.sort());
});
