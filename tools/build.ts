/**
 * Makes `dist/`: the package as it is published. JavaScript and types from `src/`, files that are not code beside them,
 * and a package.json of its own, so that this repository's package.json can point at sources.
 *   npm run build && npm pack ./dist
 * `npm run build -- FOLDER` makes it there instead.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const dist = resolve(process.argv[2] ?? join(root, 'dist'));

rmSync(dist, { recursive: true, force: true });
compile();
pointUrlsAtJavaScript();
copyAssets();
writePackage();

function compile(): void {
  const compiler = join(root, 'node_modules/.bin/tsc');
  const run = spawnSync(compiler, ['-p', 'tsconfig.build.json', '--outDir', dist], {
    cwd: root,
    stdio: 'inherit',
  });
  if (run.status !== 0) process.exit(run.status ?? 1);
}

/** The compiler rewrites imports, not `new URL('./worker.ts', import.meta.url)`, which is how threads find their module. */
function pointUrlsAtJavaScript(): void {
  for (const file of globSync('**/*.js', { cwd: dist })) {
    const path = join(dist, file);
    const code = readFileSync(path, 'utf8');
    const mended = code.replaceAll(
      /(['"`])(\.{1,2}\/[^'"`\s]+)\.ts\1(?=,\s*import\.meta\.url)/g,
      '$1$2.js$1',
    );
    if (mended !== code) writeFileSync(path, mended);
  }
}

function copyAssets(): void {
  for (const file of globSync('**/*.{html,css,svg,json,wasm,txt}', { cwd: join(root, 'src') })) {
    mkdirSync(dirname(join(dist, file)), { recursive: true });
    cpSync(join(root, 'src', file), join(dist, file));
  }
  for (const file of ['README.md', 'LICENSE', 'CHANGELOG.md']) cpSync(join(root, file), join(dist, file));
  mkdirSync(join(dist, 'bin'), { recursive: true });
  cpSync(join(root, 'bin/millrace.js'), join(dist, 'bin/millrace.js'));
  chmodSync(join(dist, 'bin/millrace.js'), 0o755);
}

function writePackage(): void {
  const source = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, unknown>;
  const published = {
    name: 'millrace',
    version: source.version,
    description: source.description,
    license: source.license,
    type: 'module',
    engines: { node: '>=24' },
    bin: { millrace: 'bin/millrace.js' },
    exports: {
      '.': { types: './sdk/index.d.ts', default: './sdk/index.js' },
      './testing': { types: './testing/index.d.ts', default: './testing/index.js' },
      './training': {
        types: './models/training/index.d.ts',
        default: './models/training/index.js',
      },
      './package.json': './package.json',
    },
    dependencies: source.dependencies,
    // For models that the built-in evaluator has not the operators for; it installs with a script, so it is never brought along.
    peerDependencies: { 'onnxruntime-node': '>=1.20' },
    peerDependenciesMeta: { 'onnxruntime-node': { optional: true } },
  };
  writeFileSync(join(dist, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
}
