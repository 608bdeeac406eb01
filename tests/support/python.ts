import { spawnSync } from 'node:child_process';

/**
 * A Python that has the modules, for comparisons with outside libraries: `PYTHON`, else `python3`. Undefined, with the
 * reason for a skip, where there is none.
 */
export function findPython(
  modules: readonly string[],
): { readonly path: string } | { readonly skip: string } {
  const path = process.env.PYTHON ?? 'python3';
  const imports = modules.map((name) => `import ${name}`).join('; ');
  const { status } = spawnSync(path, ['-c', imports], { stdio: 'ignore' });
  if (status === 0) return { path };
  return {
    skip: `${path} has not all of ${modules.join(', ')}: pip install ${modules.join(' ')}, or name another by PYTHON`,
  };
}

/** Runs a script with words behind it; throws with what it said when it fails. */
export function runPython(path: string, script: string, words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(path, ['-c', script, ...words], {
    encoding: 'utf8',
    maxBuffer: 1024 ** 3,
    // One thread, as ours has: figures are compared.
    env: { ...process.env, OMP_NUM_THREADS: '1' },
  });
  if (status !== 0) throw new Error(`Python failed:\n${stderr}`);
  return stdout;
}
