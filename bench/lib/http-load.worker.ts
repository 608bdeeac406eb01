import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { percentile } from './harness.ts';
import type { LoadPlan } from './http-load.ts';

/**
 * The load generator: raw sockets with keep-alive and no pipelining. It looks at no more of an answer than its status
 * and length, so that it costs a fraction of what the server does.
 */
const [plan] = (await once(process, 'message')) as [LoadPlan];
const body = Buffer.from(plan.bodyBase64, 'base64');
const request = Buffer.concat([
  Buffer.from(
    `POST ${plan.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${plan.contentType}\r\nContent-Length: ${body.length}\r\n\r\n`,
  ),
  body,
]);

let counting = false;
let stopped = false;
let failures = 0;
let throttled = 0;
/** Time between two requests of one connection; 0: as fast as answers come. */
const pauseMs = plan.ratePerSecond === undefined ? 0 : (1000 * plan.connections) / plan.ratePerSecond;
const latenciesMs: number[] = [];

function drive(socket: Socket): void {
  let sentAt = 0;
  let remaining = -1;
  let head = '';
  let refused = false;
  let dueMs = 0;
  const send = (): void => {
    if (stopped) return;
    sentAt = performance.now();
    socket.write(request);
  };
  const answered = (): void => {
    remaining = -1;
    head = '';
    if (counting && refused) throttled++;
    else if (counting) latenciesMs.push(performance.now() - sentAt);
    dueMs = Math.max(dueMs + pauseMs, performance.now() - pauseMs);
    const waitMs = pauseMs === 0 ? 0 : dueMs - performance.now();
    if (waitMs > 0) setTimeout(send, waitMs);
    else send();
  };
  socket.on('connect', send);
  socket.on('data', (chunk: Buffer) => {
    if (remaining >= 0) {
      remaining -= chunk.length;
      if (remaining <= 0) answered();
      return;
    }
    head += chunk.toString('latin1');
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    refused = head.startsWith('HTTP/1.1 429');
    if (!refused && !head.startsWith('HTTP/1.1 200')) failures++;
    remaining = lengthOf(head) - (head.length - end - 4);
    if (remaining <= 0) answered();
  });
  socket.on('error', () => {
    if (!stopped) failures++;
  });
}

function lengthOf(head: string): number {
  const at = head.search(/content-length: /i);
  return at < 0 ? 0 : Number.parseInt(head.slice(at + 16, at + 28), 10);
}

const sockets = Array.from({ length: plan.connections }, () => connect(plan.port, '127.0.0.1'));
for (const socket of sockets) drive(socket.setNoDelay(true));

setTimeout(() => {
  counting = true;
  const begin = performance.now();
  setTimeout(() => {
    counting = false;
    stopped = true;
    const seconds = (performance.now() - begin) / 1000;
    for (const socket of sockets) socket.destroy();
    process.send!({
      requests: latenciesMs.length,
      seconds,
      failures,
      throttled,
      p50Ms: percentile(latenciesMs, 0.5),
      p99Ms: percentile(latenciesMs, 0.99),
    });
    process.disconnect?.();
  }, plan.durationMs);
}, plan.warmupMs);
