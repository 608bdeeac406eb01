import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const here = import.meta.dirname;
const root = dirname(dirname(here));
let folder: string;

before(async () => {
  // Inside the repository, so that `valibot` and the SDK resolve as they do for a user.
  folder = await mkdtemp(join(root, 'node_modules', '.types-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function check(source: string): Promise<string> {
  const file = join(folder, 'check.ts');
  await writeFile(file, source.replaceAll("'./index.ts'", `'${join(here, 'index.ts')}'`));
  const config = {
    extends: join(root, 'tsconfig.json'),
    include: [file],
    compilerOptions: { rewriteRelativeImportExtensions: false },
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ ...config, exclude: [] }));
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  return run(process.execPath, [tsc, '--noEmit', '-p', folder]).then(
    () => '',
    (error: { stdout: string }) => error.stdout,
  );
}

test('handlers get their types from the schemas, and what must not compile does not', async () => {
  assert.equal(await check(await readFile(join(here, 'types.check.ts'), 'utf8')), '');
});

test('each line that must not compile is one: with the expectation taken away, tsc names it', async () => {
  const source = await readFile(join(here, 'types.check.ts'), 'utf8');
  const expected = source
    .split('\n')
    .flatMap((line, index) => (line.includes('@ts-expect-error:') ? [index + 2] : []));
  const found = await check(source.replaceAll('@ts-expect-error:', 'expected:'));
  for (const line of expected)
    assert.match(found, new RegExp(`check\\.ts\\(${line}[,)]|check\\.ts\\(${line + 1},`));
});
