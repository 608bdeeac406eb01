import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Writes an app and deploys it to a running platform, by the command that users have. */
export async function deployApp(folder: string, api: string, source: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'bench-app', type: 'module' }));
  writeFileSync(join(folder, 'app.ts'), source);
  const binary = new URL('../../bin/millrace.js', import.meta.url).pathname;
  await promisify(execFile)(process.execPath, [binary, 'deploy', join(folder, 'app.ts'), '--url', api], {
    cwd: folder,
  });
}
