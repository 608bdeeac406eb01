#!/usr/bin/env node
// Plain JavaScript that every Node understands, so that an old one gets a clear line instead of a syntax error.
import { existsSync, readFileSync } from 'node:fs';
import * as module from 'node:module';

const major = Number(process.versions.node.split('.', 1)[0]);
const words = process.argv.slice(2);

if (words.length === 1 && (words[0] === '--version' || words[0] === '-V')) {
  const file = new URL('../package.json', import.meta.url);
  process.stdout.write(`${JSON.parse(readFileSync(file, 'utf8')).version}\n`);
} else if (major < 24) {
  process.stderr.write(
    `millrace: Node ${process.versions.node} is too old; it needs 24 or newer. Install one from https://nodejs.org and try again.\n`,
  );
  process.exitCode = 1;
} else {
  // Worker threads take it from the environment; without it each would compile, and strip types, on its own.
  const { directory } = module.enableCompileCache();
  if (directory) process.env.NODE_COMPILE_CACHE ??= directory;
  const source = new URL('../src/cli/main.ts', import.meta.url);
  const built = new URL('../cli/main.js', import.meta.url);
  const { main } = await import((existsSync(source) ? source : built).href);
  await main(words);
}
