/**
 * Checks every table of messages against the definitions of Apache Kafka itself, which its client library carries as JSON.
 * Takes the jar that KAFKA_CLIENTS_JAR names, or fetches it from Maven Central; skipped where neither can be had.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createWriteStream, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, it } from 'node:test';
import {
  APIS,
  CONSUMER_PROTOCOL_VERSIONS,
  ConsumerAssignment,
  ConsumerSubscription,
  type FieldSpec,
  type FieldType,
  type Shape,
} from '../../src/streams/kafka-protocol/index.ts';

const VERSION = '4.1.1';
const ADDRESS = `https://repo1.maven.org/maven2/org/apache/kafka/kafka-clients/${VERSION}/kafka-clients-${VERSION}.jar`;

interface JsonField {
  readonly name: string;
  readonly type: string;
  readonly versions: string;
  readonly nullableVersions?: string;
  readonly default?: string | number | boolean;
  readonly tag?: number;
  readonly taggedVersions?: string;
  readonly fields?: readonly JsonField[];
}

interface JsonMessage {
  readonly apiKey?: number;
  readonly validVersions: string;
  readonly flexibleVersions: string;
  readonly fields: readonly JsonField[];
  readonly commonStructs?: readonly JsonField[];
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-'));
let reason: string | undefined;

async function unpack(): Promise<void> {
  let jar = process.env.KAFKA_CLIENTS_JAR ?? '';
  if (!existsSync(jar)) {
    jar = join(folder, 'kafka-clients.jar');
    const response = await fetch(ADDRESS, { signal: AbortSignal.timeout(60_000) });
    if (!response.ok || !response.body) throw new Error(`${ADDRESS} answers ${response.status}`);
    await pipeline(Readable.fromWeb(response.body), createWriteStream(jar));
  }
  execFileSync('unzip', ['-qoj', jar, 'common/message/*.json', '-d', folder]);
}

function load(name: string): JsonMessage {
  const text = readFileSync(join(folder, `${name}.json`), 'utf8');
  return JSON.parse(text.replaceAll(/(^|\s)\/\/.*$/gm, '')) as JsonMessage;
}

function range(text: string): readonly [number, number] {
  if (text === 'none') return [32_767, -1];
  const [from, to] = text.endsWith('+') ? [text.slice(0, -1), '32767'] : text.split('-');
  return [Number(from), Number(to ?? from)];
}

const within = (text: string | undefined, version: number): boolean => {
  if (text === undefined) return false;
  const [from, to] = range(text);
  return version >= from && version <= to;
};

const camel = (name: string): string => name[0]!.toLowerCase() + name.slice(1);

/** One version of a message as a list of lines, however it was described. */
function linesOfJson(
  message: JsonMessage,
  fields: readonly JsonField[],
  version: number,
  indent = '',
): string[] {
  return fields
    .filter((field) => within(field.versions, version))
    .flatMap((field) => {
      const array = field.type.startsWith('[]');
      const type = field.type.replace('[]', '');
      const inner = /^[A-Z]/.test(type)
        ? (field.fields ?? message.commonStructs!.find(({ name }) => name === type)!.fields!)
        : undefined;
      const tag = within(field.taggedVersions, version) ? ` tag ${field.tag}` : '';
      const nullable = within(field.nullableVersions, version) ? ' nullable' : '';
      const head = `${indent}${camel(field.name)} ${array ? '[]' : ''}${inner ? 'struct' : type}${nullable}${tag}`;
      const fallback = inner || array ? fallbackText(field.default ?? '') : defaultText(type, field.default);
      return [`${head} = ${fallback}`, ...(inner ? linesOfJson(message, inner, version, `${indent}  `) : [])];
    });
}

const fallbackText = (value: unknown): string => (value === 'null' || value === null ? 'null' : '');

function defaultText(type: string, value: unknown): string {
  if (value === 'null' || value === null) return 'null';
  if (type === 'string') return JSON.stringify(value ?? '');
  if (type === 'bool') return String(value ?? false).toLowerCase();
  if (/int|float/.test(type)) return String(Number(value ?? 0));
  return '';
}

function linesOfTable(shape: Shape, version: number, flexible: boolean, indent = ''): string[] {
  return Object.entries(shape)
    .filter(([, { spec }]) => version >= spec.versions.from && version <= spec.versions.to)
    .flatMap(([name, { spec }]) => {
      const { array, type, inner } = typeText(spec.type);
      const { nullable } = spec;
      const isNullable = nullable && version >= nullable.from && version <= nullable.to ? ' nullable' : '';
      const tag = spec.tag && flexible && version >= spec.tag.from ? ` tag ${spec.tag.number}` : '';
      const head = `${indent}${name} ${array}${type}${isNullable}${tag}`;
      const fallback = array || inner ? fallbackText(spec.fallback) : defaultText(type, spec.fallback);
      return [
        `${head} = ${fallback}`,
        ...(inner ? linesOfTable(inner, version, flexible, `${indent}  `) : []),
      ];
    });
}

function typeText(type: FieldType): { array: string; type: string; inner?: Shape } {
  if (type.kind === 'array') return { ...typeText(type.of), array: '[]' };
  if (type.kind === 'struct') return { array: '', type: 'struct', inner: type.shape };
  return { array: '', type: type.kind };
}

function compare(name: string, shape: Shape, versions: FieldSpec['versions'], flexibleFrom: number): void {
  const message = load(name);
  const [from, to] = range(message.validVersions);
  assert.ok(versions.from >= from && versions.to <= to, `${name}: Kafka has ${message.validVersions}`);
  const flexible = range(message.flexibleVersions)[0];
  assert.equal(flexibleFrom <= versions.to, flexible <= versions.to, `${name} flexible`);
  if (flexible <= versions.to) assert.equal(flexibleFrom, flexible, `${name} flexible`);
  for (let version = versions.from; version <= versions.to; version++) {
    assert.deepEqual(
      linesOfTable(shape, version, version >= flexibleFrom),
      linesOfJson(message, message.fields, version),
      `${name} ${version}`,
    );
  }
}

describe(`the tables of messages are those of Apache Kafka ${VERSION}`, () => {
  before(async () => {
    await unpack().catch((error: unknown) => {
      reason = `the definitions cannot be had: ${String(error)}`;
    });
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const api of APIS) {
    it(api.name, (test) => {
      if (reason !== undefined) return test.skip(reason);
      assert.equal(load(`${api.name}Request`).apiKey, api.key);
      compare(`${api.name}Request`, api.request, api.versions, api.flexibleFrom);
      compare(`${api.name}Response`, api.response, api.versions, api.flexibleFrom);
    });
  }

  it('what consumers put into the bytes of JoinGroup and SyncGroup', (test) => {
    if (reason !== undefined) return test.skip(reason);
    compare('ConsumerProtocolSubscription', ConsumerSubscription, CONSUMER_PROTOCOL_VERSIONS, 32_767);
    compare('ConsumerProtocolAssignment', ConsumerAssignment, CONSUMER_PROTOCOL_VERSIONS, 32_767);
  });
});
