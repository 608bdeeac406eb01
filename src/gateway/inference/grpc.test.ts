import assert from 'node:assert/strict';
import { type ClientHttp2Session, connect } from 'node:http2';
import { it } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { type Guard, MillraceError, manualClock } from '../../kernel/index.ts';
import { WireReader, WireWriter } from '../../models/index.ts';
import { openGuard } from '../api/api.fixture.ts';
import { createInferenceDoor, type InferenceDoorOptions } from './grpc.ts';
import { servedModels, weighted } from './models.fixture.ts';

const serving = { missing: false, batch: { size: 16, waitMs: 0 }, cache: null };

interface CallResult {
  readonly status: number;
  readonly detail: string;
  readonly message: Buffer | undefined;
  readonly encoding: unknown;
}

async function openDoor(options: Partial<InferenceDoorOptions> = {}) {
  const served = await servedModels();
  await served.models.register('risk', { bytes: weighted(1, 2), serving, by: 'test' });
  const clock = manualClock();
  const door = createInferenceDoor({
    host: '127.0.0.1',
    port: 0,
    clock,
    guard: openGuard,
    service: served.service,
    requestBytes: 10_000,
    ...options,
  });
  await door.start();
  const session = connect(`http://${door.address}`);
  return {
    ...served,
    clock,
    door,
    session,
    call: (method: string, message: Uint8Array, headers = {}) =>
      call(session, method, frame(message), headers),
    raw: (method: string, bytes: Uint8Array, headers: object = {}) => call(session, method, bytes, headers),
    async [Symbol.asyncDispose]() {
      session.destroy();
      await door.stop(AbortSignal.timeout(1000));
      await served[Symbol.asyncDispose]();
    },
  };
}

function frame(message: Uint8Array, compressed = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = compressed;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function call(
  session: ClientHttp2Session,
  method: string,
  bytes: Uint8Array,
  headers: object,
): Promise<CallResult> {
  return new Promise((resolve, reject) => {
    const path = method.startsWith('/') ? method : `/inference.GRPCInferenceService/${method}`;
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const chunks: Buffer[] = [];
    let tail: { readonly [name: string]: unknown } = {};
    stream.on('response', (found) => void (tail = { ...tail, ...found }));
    stream.on('trailers', (found) => void (tail = { ...tail, ...found }));
    stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
    stream.on('error', reject);
    stream.on('close', () => {
      const body = Buffer.concat(chunks);
      const detail = decodeURIComponent(String(tail['grpc-message'] ?? ''));
      resolve({
        status: Number(tail['grpc-status']),
        detail,
        message:
          body.length === 0 ? undefined : body[0] === 1 ? gunzipSync(body.subarray(5)) : body.subarray(5),
        encoding: tail['grpc-encoding'],
      });
    });
    stream.end(bytes);
  });
}

function texts(...fields: [field: number, text: string][]): Uint8Array {
  const writer = new WireWriter();
  for (const [field, text] of fields) {
    writer.tag(field, 2);
    writer.text(text);
  }
  return writer.finish();
}

/** A ModelInferRequest for `risk` with two columns, values as raw bytes or as contents. */
function inferRequest(values: readonly number[], raw: boolean, shape = [values.length / 2, 2]): Uint8Array {
  const numbers = Buffer.from(Float32Array.from(values).buffer);
  const tensor = new WireWriter();
  for (const [field, text] of [
    [1, 'x'],
    [2, 'FP32'],
  ] as const) {
    tensor.tag(field, 2);
    tensor.text(text);
  }
  for (const size of shape) {
    tensor.tag(3, 0);
    tensor.varint(size);
  }
  if (!raw) {
    const contents = new WireWriter();
    contents.tag(6, 2);
    contents.chunk(numbers);
    tensor.tag(5, 2);
    tensor.chunk(contents.finish());
  }
  const writer = new WireWriter();
  for (const [field, text] of [
    [1, 'risk'],
    [3, '42'],
  ] as const) {
    writer.tag(field, 2);
    writer.text(text);
  }
  writer.tag(5, 2);
  writer.chunk(tensor.finish());
  if (raw) {
    writer.tag(7, 2);
    writer.chunk(numbers);
  }
  return writer.finish();
}

/** Texts and raw contents of a ModelInferResponse. */
function readResponse(bytes: Uint8Array) {
  const reader = new WireReader(bytes);
  const found = { model: '', version: '', id: '', raw: [] as number[][] };
  while (reader.next()) {
    if (reader.field === 1) found.model = reader.text();
    else if (reader.field === 2) found.version = reader.text();
    else if (reader.field === 3) found.id = reader.text();
    else if (reader.field === 6) found.raw.push([...new Float32Array(new Uint8Array(reader.chunk()).buffer)]);
    else reader.skip();
  }
  return found;
}

it('infers, from raw bytes and from typed contents', async () => {
  await using under = await openDoor();
  for (const raw of [true, false]) {
    const { status, message } = await under.call('ModelInfer', inferRequest([1, 2, 3, 4], raw));
    assert.equal(status, 0);
    assert.deepEqual(readResponse(message!), {
      model: 'risk',
      version: '1',
      id: '42',
      raw: [
        [5, 11],
        [1, 2, 3, 4],
      ],
    });
  }
});

it('answers for the server, its models and its health', async () => {
  await using under = await openDoor();
  const empty = new Uint8Array();
  for (const method of ['ServerLive', 'ServerReady', '/grpc.health.v1.Health/Check']) {
    assert.deepEqual([...(await under.call(method, empty)).message!], [8, 1], method);
  }
  assert.deepEqual([...(await under.call('ModelReady', texts([1, 'risk'], [2, '1']))).message!], [8, 1]);
  assert.match((await under.call('ServerMetadata', empty)).message!.toString(), /millrace/);
  assert.match(
    (await under.call('ModelMetadata', texts([1, 'risk']))).message!.toString('latin1'),
    /onnxruntime_onnx.*FP32/s,
  );
});

it('says what is wrong with a status that clients know', async () => {
  await using under = await openDoor();
  const statuses = {
    unknownModel: (await under.call('ModelReady', texts([1, 'nobody']))).status,
    unknownVersion: (await under.call('ModelReady', texts([1, 'risk'], [2, '9']))).status,
    unknownMethod: (await under.call('ModelStreamInfer', new Uint8Array())).status,
    shape: (await under.call('ModelInfer', inferRequest([1, 2, 3], true, [1, 3]))).status,
    count: (await under.call('ModelInfer', inferRequest([1, 2, 3], false, [1, 2]))).status,
    malformed: (await under.call('ModelInfer', Buffer.from([0x2a, 0xff]))).status,
    tooLarge: (await under.call('ModelInfer', new Uint8Array(20_000))).status,
    compressed: (await under.raw('ModelInfer', frame(new Uint8Array(3), 1))).status,
    twoMessages: (
      await under.raw('ServerLive', Buffer.concat([frame(new Uint8Array()), frame(new Uint8Array())]))
    ).status,
  };
  assert.deepEqual(statuses, {
    unknownModel: 5,
    unknownVersion: 5,
    unknownMethod: 12,
    shape: 3,
    count: 3,
    malformed: 3,
    tooLarge: 8,
    compressed: 12,
    twoMessages: 3,
  });
  const { detail } = await under.call('ModelInfer', inferRequest([1, 2, 3], true, [1, 3]));
  assert.match(detail, /\[1, 3\]; the model takes \[any, 2\]/);
});

it('takes gzip and gives it back, and is not blown up by it', async () => {
  await using under = await openDoor();
  const gzip = { 'grpc-encoding': 'gzip', 'grpc-accept-encoding': 'identity, gzip' };
  const values = Array.from({ length: 1200 }, (_, at) => at % 7);
  const request = inferRequest(values, true);
  const plain = await under.call('ModelInfer', request);
  const packed = await under.raw('ModelInfer', frame(gzipSync(request), 1), gzip);
  assert.deepEqual([plain.status, plain.encoding, packed.status, packed.encoding], [0, undefined, 0, 'gzip']);
  assert.deepEqual(readResponse(packed.message!), readResponse(plain.message!));
  const unasked = await under.raw('ModelInfer', frame(gzipSync(request), 1), { 'grpc-encoding': 'gzip' });
  assert.deepEqual([unasked.status, unasked.encoding], [0, undefined]);
  const small = await under.raw('ModelInfer', frame(inferRequest([1, 2], true)), gzip);
  assert.deepEqual(
    [small.status, small.encoding],
    [0, undefined],
    'it need not be compressed, and is not worth it',
  );

  const bomb = gzipSync(new Uint8Array(20_000));
  const lying = Buffer.from(bomb);
  lying.writeUInt32LE(100, lying.length - 4);
  const statuses = {
    bomb: (await under.raw('ModelInfer', frame(bomb, 1), gzip)).status,
    lying: (await under.raw('ModelInfer', frame(lying, 1), gzip)).status,
    broken: (await under.raw('ModelInfer', frame(new Uint8Array(40).fill(7, 0, 36), 1), gzip)).status,
    short: (await under.raw('ModelInfer', frame(new Uint8Array(3), 1), gzip)).status,
    unknown: (await under.raw('ModelInfer', frame(bomb, 1), { 'grpc-encoding': 'snappy' })).status,
  };
  assert.deepEqual(statuses, { bomb: 8, lying: 3, broken: 3, short: 3, unknown: 12 });
  // What was refused is not held: as much as ever may wait.
  for (let again = 0; again < 20; again++) {
    assert.equal((await under.raw('ModelInfer', frame(lying, 1), gzip)).status, 3);
  }
  assert.equal((await under.raw('ModelInfer', frame(gzipSync(request), 1), gzip)).status, 0);
});

it('asks the guard, as every other door does', async () => {
  const guard: Guard = {
    identify: async ({ bearer }) => {
      if (bearer === 'right') return { id: 'me', kind: 'token' };
      throw new MillraceError('UNAUTHENTICATED', 'No.');
    },
    permit: (_principal, action, resource) => {
      if (action === 'invoke' && resource !== 'model/risk') throw new MillraceError('FORBIDDEN', 'No.');
    },
  };
  await using under = await openDoor({ guard });
  const ask = (authorization: object) => under.call('ModelInfer', inferRequest([1, 2], true), authorization);
  assert.equal((await ask({})).status, 16);
  assert.equal((await ask({ authorization: 'Bearer right' })).status, 0);
  assert.equal(
    (await under.call('ModelInfer', texts([1, 'other']), { authorization: 'Bearer right' })).status,
    7,
  );
  assert.equal((await under.call('ServerLive', new Uint8Array())).status, 0);
});

it('keeps to the deadline that a client gives', async () => {
  const never = { infer: () => new Promise<never>(() => undefined) };
  await using under = await openDoor();
  const door = createInferenceDoor({
    host: '127.0.0.1',
    port: 0,
    clock: under.clock,
    guard: openGuard,
    requestBytes: 1000,
    service: { ...under.service, ...never },
  });
  await door.start();
  const session = connect(`http://${door.address}`);
  const answer = call(session, 'ModelInfer', frame(inferRequest([1, 2], true)), { 'grpc-timeout': '50m' });
  while (under.clock.pending() === 0) await new Promise((resolve) => setImmediate(resolve));
  under.clock.advance(50);
  assert.equal((await answer).status, 4);
  session.destroy();
  await door.stop(AbortSignal.timeout(100));
});

it('survives any bytes', async () => {
  await using under = await openDoor();
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.boolean(), async (bytes, framed) => {
      const { status } = await (framed ? under.call('ModelInfer', bytes) : under.raw('ModelInfer', bytes));
      assert.ok([3, 5, 12].includes(status), String(status));
    }),
    { numRuns: 60 },
  );
  assert.equal((await under.call('ModelInfer', inferRequest([1, 2], true))).status, 0);
});
