import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { scratchFolder } from './lib/calibration.ts';
import { deployApp } from './lib/deploy.ts';
import { bench } from './lib/harness.ts';
import { startPlatform } from './lib/http-load.ts';

const SOURCE = `import { fn, http } from 'millrace';
export const take = fn('take', { on: http.post('/take', { maxBody: '1mb' }) }, () => ({ status: 204 }));
export const fine = fn('fine', { on: http.get('/fine') }, () => ({ body: 'fine' }));
`;

/** Every third stops in its headers, every third in its body, every third after connecting. */
const BEGINNINGS = [
  'POST /take HTTP/1.1\r\nHost: a\r\nX-Slow: ',
  `POST /take HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(1000)}`,
  '',
];

await bench({
  name: 'edge-slow-clients',
  question: 'What do clients cost that connect, begin a request and stop?',
  leavesOut: 'memory of the kernel for the sockets; TLS',
  async run({ short, say }) {
    using scratch = scratchFolder();
    const clients = short ? 1000 : 9900;
    await using platform = await startPlatform(join(scratch.path, 'data'));
    await deployApp(join(scratch.path, 'app'), platform.api, SOURCE);
    const edge = new URL(platform.edge);
    await fetch(`${platform.edge}/fine`);
    const before = residentBytes(platform.process.pid!);
    say(`${clients} connections`);
    const sockets: Socket[] = [];
    for (let index = 0; index < clients; index++) {
      sockets.push(await open(Number(edge.port), BEGINNINGS[index % BEGINNINGS.length]!));
    }
    const during = residentBytes(platform.process.pid!);
    const startMs = performance.now();
    const answer = await fetch(`${platform.edge}/fine`);
    const answerMs = performance.now() - startMs;
    if (!answer.ok) throw new Error(`The platform answered ${answer.status}.`);
    for (const socket of sockets) socket.destroy();
    return [
      { what: 'calibration: memory before', value: before / 1024 ** 2, unit: 'MB' },
      { what: 'connections held', value: clients, unit: '' },
      { what: 'memory they added', value: (during - before) / 1024 ** 2, unit: 'MB', reach: { atMost: 300 } },
      {
        what: 'of it for each',
        value: (during - before) / 1024 / clients,
        unit: 'kB',
        reach: { atMost: 30 },
      },
      { what: 'an honest request meanwhile', value: answerMs, unit: 'ms' },
    ];
  },
});

function open(port: number, beginning: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.off('error', reject).on('error', () => undefined);
      if (beginning === '') resolve(socket);
      else socket.write(beginning, () => resolve(socket));
    });
    socket.once('error', reject);
  });
}

function residentBytes(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) * 1024;
}
