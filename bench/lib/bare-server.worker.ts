import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** node:http with nothing in it: reads the body to its end and answers with as many bytes as the platform does. */
const answer = '{"records":1,"partition":0,"offset":123456}';

const server = createServer((request, response) => {
  request.on('data', () => undefined);
  request.on('end', () => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': answer.length });
    response.end(answer);
  });
});

server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port }));
process.on('SIGTERM', () => process.exit(0));
