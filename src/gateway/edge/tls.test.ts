import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { connect } from 'node:tls';
import { manualClock, onSignal } from '../../kernel/index.ts';
import { CERTIFICATES } from '../http/tls.fixture.ts';
import { startEdge } from './edge.fixture.ts';

/** The name in the certificate that the port shows, and what it answers. */
function ask(port: number): Promise<{ name: unknown; answer: string }> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    });
    const name = (): unknown => socket.getPeerCertificate().subject?.CN;
    let shown: unknown;
    socket.once('secureConnect', () => {
      shown = name();
    });
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.once('end', () => resolve({ name: shown, answer }));
    socket.on('error', reject);
  });
}

it('the edge port speaks HTTPS, and takes new files up without a restart', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-edge-tls-'));
  const tls = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
  const use = ({ cert, key }: { cert: string; key: string }): void => {
    writeFileSync(tls.certFile, cert);
    writeFileSync(tls.keyFile, key);
  };
  use(CERTIFICATES.first);
  const clock = manualClock();
  try {
    await using door = await startEdge({
      handlers: { show: () => ({ body: Buffer.from('safe') }) },
      clock,
      tls,
    });
    await door.deploy('shop', '1', [{ fn: 'show' }]);
    assert.match(door.edge.url, /^https:/);
    const before = await ask(door.port);
    assert.match(before.answer, /^HTTP\/1\.1 200 [\s\S]*safe$/);
    const reloaded = new Promise<void>((resolve) => {
      const stop = onSignal('platform.log', ({ message }) => {
        if (!message.includes('was reloaded')) return;
        stop();
        resolve();
      });
    });
    use(CERTIFICATES.second);
    clock.advance(2000);
    await reloaded;
    const after = await ask(door.port);
    assert.notEqual(after.name, before.name);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
