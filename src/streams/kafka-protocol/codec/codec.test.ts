import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Fetch } from '../messages/fetch.ts';
import { JoinGroup } from '../messages/groups.ts';
import { APIS } from '../messages/index.ts';
import { Metadata } from '../messages/metadata.ts';
import { Produce } from '../messages/produce.ts';
import { compileReader, compileWriter, isFlexible } from './compile.ts';
import { type FieldSpec, type FieldType, NO_UUID, type Shape } from './fields.ts';
import { readRequest, readRequestHeader, readResponse, writeRequest, writeResponse } from './frame.ts';
import { Malformed, Reader } from './reader.ts';
import { Writer } from './writer.ts';

const INTEGERS: { readonly [kind: string]: fc.Arbitrary<number> } = {
  int8: fc.integer({ min: -128, max: 127 }),
  int16: fc.integer({ min: -32_768, max: 32_767 }),
  uint16: fc.integer({ min: 0, max: 65_535 }),
  int32: fc.integer(),
  uint32: fc.integer({ min: 0, max: 4_294_967_295 }),
  int64: fc.maxSafeInteger(),
  float64: fc.double({ noNaN: true }),
};

function anyOf(type: FieldType, version: number, flexible: boolean): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case 'bool':
      return fc.boolean();
    case 'uuid':
      return fc.uint8Array({ minLength: 16, maxLength: 16 }).map((each) => Buffer.from(each).toString('hex'));
    case 'string':
      return fc.string({ maxLength: 200, unit: 'binary' }).map((each) => each.toWellFormed());
    case 'bytes':
    case 'records':
      return fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 2048, maxLength: 3000 }));
    case 'array':
      return fc.array(anyOf(type.of, version, flexible), { maxLength: 3 });
    case 'struct':
      return messageOf(type.shape, version, flexible);
    default:
      return INTEGERS[type.kind]!;
  }
}

const within = (range: { from: number; to: number } | undefined, version: number): boolean =>
  range !== undefined && version >= range.from && version <= range.to;

/** Messages with a value in every field that the version has, and the default in the others. */
function messageOf(shape: Shape, version: number, flexible: boolean): fc.Arbitrary<unknown> {
  const fields = Object.entries(shape).map(([name, { spec }]): [string, fc.Arbitrary<unknown>] => {
    if (!within(spec.versions, version)) return [name, fc.constant(absent(spec))];
    const value = anyOf(spec.type, version, flexible);
    return [name, within(spec.nullable, version) ? fc.option(value) : value];
  });
  return fc.record(Object.fromEntries(fields));
}

function absent(spec: FieldSpec): unknown {
  if (spec.fallback !== undefined) return spec.fallback;
  switch (spec.type.kind) {
    case 'array':
      return [];
    case 'struct':
      return Object.fromEntries(
        Object.entries(spec.type.shape).map(([name, field]) => [name, absent(field.spec)]),
      );
    case 'string':
      return '';
    case 'bool':
      return false;
    case 'uuid':
      return NO_UUID;
    case 'bytes':
    case 'records':
      return null;
    default:
      return 0;
  }
}

/** Buffers and byte arrays alike, so that what was read can be compared with what was written. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}

describe('the codec', () => {
  for (const api of APIS) {
    it(`reads what it writes: ${api.name} ${api.versions.from} to ${api.versions.to}`, () => {
      for (let version = api.versions.from; version <= api.versions.to; version++) {
        const flexible = isFlexible(api, version);
        for (const shape of [api.request as Shape, api.response as Shape]) {
          const read = compileReader(shape, version, flexible);
          const write = compileWriter(shape, version, flexible);
          fc.assert(
            fc.property(messageOf(shape, version, flexible), (message) => {
              const bytes = bytesOf(write, message);
              const reader = new Reader(bytes);
              assert.deepEqual(plain(read(reader)), plain(message));
              assert.equal(reader.position, bytes.length);
            }),
            { numRuns: 10 },
          );
        }
      }
    });
  }

  it('refuses every message that ends too early, and no other way', () => {
    const read = compileReader(Fetch.request, 13, true);
    const write = compileWriter(Fetch.request, 13, true);
    fc.assert(
      fc.property(messageOf(Fetch.request, 13, true), fc.double({ min: 0, max: 0.999 }), (message, part) => {
        const bytes = bytesOf(write, message);
        const cut = bytes.subarray(0, Math.floor(bytes.length * part));
        assert.throws(() => read(new Reader(cut)), Malformed);
      }),
      { numRuns: 200 },
    );
  });

  it('gives a message or refuses it, whatever the bytes', () => {
    for (const [api, version] of [
      [Metadata, 1],
      [Metadata, 12],
      [JoinGroup, 5],
      [Produce, 9],
    ] as const) {
      const read = compileReader(api.request, version, isFlexible(api, version));
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
          try {
            read(new Reader(Buffer.from(bytes)));
          } catch (error) {
            assert.ok(error instanceof Malformed, String(error));
          }
        }),
        { numRuns: 500 },
      );
    }
  });

  it('passes over tagged fields that it does not know', () => {
    const read = compileReader<{ topics: unknown }>(Metadata.request, 12, true);
    // No topics (null), three booleans of which version 12 has two, then tag 7 with three bytes.
    const bytes = Buffer.from([0, 1, 1, 1, 7, 3, 1, 2, 3]);
    const reader = new Reader(bytes);
    assert.equal(read(reader).topics, null);
    assert.equal(reader.position, bytes.length);
  });

  it('refuses an array that claims more elements than there are bytes', () => {
    const read = compileReader(Metadata.request, 1, false);
    assert.throws(() => read(new Reader(Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 0]))), /array of 2147483647/);
  });

  it('writes the frames of the protocol guide', () => {
    // A client's first request: ApiVersions 0 with an empty body, correlation id 1, client id 'kcat'.
    const apiVersions = APIS.find((api) => api.key === 18)!;
    const header = { correlationId: 1, clientId: 'kcat' };
    const request = Buffer.concat(writeRequest(apiVersions, 0, header, {}));
    assert.equal(
      request.toString('hex'),
      `0000000e0012000000000001${'0004'}${Buffer.from('kcat').toString('hex')}`,
    );
    const reader = new Reader(request, 4);
    assert.deepEqual(readRequestHeader(reader), { apiKey: 18, apiVersion: 0, ...header });
    assert.deepEqual(readRequest(reader, apiVersions, 0), {
      clientSoftwareName: '',
      clientSoftwareVersion: '',
    });
    // The answer to ApiVersions has the old header in every version.
    const answer = { errorCode: 0, apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }] };
    const response = Buffer.concat(writeResponse(apiVersions, 3, 1, answer));
    assert.equal(response.toString('hex'), '000000130000000100000200120000000400000000000000'.slice(0, 46));
    assert.deepEqual(
      (readResponse(new Reader(response, 8), apiVersions, 3) as typeof answer).apiKeys,
      answer.apiKeys,
    );
  });

  it('hands large records over by reference', () => {
    const records = Buffer.alloc(10_000, 7);
    const chunks = writeRequest(
      Produce,
      9,
      { correlationId: 1, clientId: null },
      {
        acks: -1,
        timeoutMs: 1,
        topicData: [{ name: 'a', topicId: NO_UUID, partitionData: [{ index: 0, records }] }],
      },
    );
    assert.ok(chunks.includes(records));
    assert.equal(Buffer.concat(chunks).readInt32BE(0), Buffer.concat(chunks).length - 4);
  });
});

function bytesOf(write: (writer: Writer, message: unknown) => void, message: unknown): Buffer {
  const writer = new Writer();
  write(writer, message);
  return Buffer.concat(writer.chunks());
}
