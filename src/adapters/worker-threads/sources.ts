import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';

/**
 * In a checkout the modules that a worker loads are TypeScript, and every worker would start a parser of its own to strip
 * the types: ten times the start of a bare worker. So they are stripped once, here, and handed to each worker as
 * text by URL. Built, they are JavaScript and nothing is needed: the map is empty.
 */
export function strippedSources(entries: readonly string[]): ReadonlyMap<string, string> {
  // Node warns that its stripping may change; it is pinned here, and the line would be the first that users see.
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    return collect(entries);
  } finally {
    process.emitWarning = emitWarning;
  }
}

function collect(entries: readonly string[]): ReadonlyMap<string, string> {
  const sources = new Map<string, string>();
  const queue = entries.filter((url) => url.endsWith('.ts'));
  for (let url = queue.pop(); url !== undefined; url = queue.pop()) {
    if (sources.has(url)) continue;
    const source = stripTypeScriptTypes(readFileSync(new URL(url), 'utf8'));
    sources.set(url, source);
    for (const [, specifier] of source.matchAll(RELATIVE_IMPORT)) {
      const imported = new URL(specifier!, url).href;
      if (imported.endsWith('.ts')) queue.push(imported);
    }
  }
  return sources;
}

/** Types are gone by now, so that what is left are real imports. */
const RELATIVE_IMPORT = /\b(?:from|import)\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g;

/** Runs first in a worker, as plain JavaScript: serves the stripped modules, then loads the worker's own. */
export const BOOTSTRAP = `
const { registerHooks } = require('node:module');
const { workerData } = require('node:worker_threads');
const { sources, worker } = workerData;
if (sources.size > 0) {
  registerHooks({
    load(url, context, next) {
      const source = sources.get(url);
      return source === undefined ? next(url, context) : { format: 'module', source, shortCircuit: true };
    },
  });
}
import(worker);
`;
