import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect } from 'node:tls';
import { onSignal } from '../../kernel/index.ts';
import { CERTIFICATES } from '../http/tls.fixture.ts';
import { testApi } from './api.fixture.ts';

let folder = '';
const file = (name: string): string => join(folder, name);

function use(name: 'first' | 'second'): void {
  writeFileSync(file('cert.pem'), CERTIFICATES[name].cert);
  writeFileSync(file('key.pem'), CERTIFICATES[name].key);
}

/** The name in the certificate that the port shows. */
function shownName(url: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const port = Number(new URL(url).port);
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subject.CN);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('TLS of the API port', () => {
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('takes new files while it runs, and keeps the old ones when the new ones are bad', async () => {
    use('first');
    const lines: string[] = [];
    const logged = (pattern: RegExp): Promise<void> =>
      new Promise((resolve) => {
        const stop = onSignal('platform.log', ({ message }) => {
          lines.push(message);
          if (!pattern.test(message)) return;
          stop();
          resolve();
        });
      });
    await using api = await testApi({ tls: { certFile: file('cert.pem'), keyFile: file('key.pem') } });
    assert.match(api.door.url, /^https:/);
    assert.equal(await shownName(api.door.url), 'first');

    const look = async (line: Promise<void>): Promise<void> => {
      let done = false;
      void line.then(() => {
        done = true;
      });
      while (!done) {
        api.clock.advance(2000);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    use('second');
    await look(logged(/was reloaded/));
    assert.equal(await shownName(api.door.url), 'second');

    writeFileSync(file('cert.pem'), 'no certificate');
    await look(logged(/cannot be used.*The old certificate stays/));
    assert.equal(await shownName(api.door.url), 'second');
  });

  it('answers requests that come whole and in pieces on one connection', async () => {
    use('first');
    await using api = await testApi({ tls: { certFile: file('cert.pem'), keyFile: file('key.pem') } });
    const port = Number(new URL(api.door.url).port);
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    const answered = async (count: number): Promise<void> => {
      while (text.split('HTTP/1.1 ').length <= count) await new Promise((resolve) => setImmediate(resolve));
    };
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const request =
      'POST /streams/nothing/records HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}';
    for (const [index, cut] of [request.length, 10, request.length, 40].entries()) {
      socket.write(request.slice(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      socket.write(request.slice(cut));
      await answered(index + 1);
    }
    assert.equal(text.match(/HTTP\/1\.1 404[^{]*\{[^}]*STREAM_NOT_FOUND/g)?.length, 4);
    socket.destroy();
  });
});
