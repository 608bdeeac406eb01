import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

/** A Java to run Apache Kafka with, and Kafka's jars: server, clients and command-line tools. */
export interface KafkaJars {
  readonly java: string;
  readonly classPath: string;
  readonly version: string;
}

const MAVEN_CENTRAL = 'https://repo1.maven.org/maven2';
/** Kafka 4's brokers need it. */
const LEAST_JAVA = 17;
const AT_ONCE = 6;

/**
 * A SHA-256 and a path in Maven Central a line: org.apache.kafka:kafka_2.13 and kafka-tools (without Connect) with what they
 * need at run time as Maven resolves it, and slf4j-simple for the broker's log.
 */
const LIST = new URL('./kafka-jars.txt', import.meta.url);

/**
 * Apache Kafka's published jars, fetched once into `KAFKA_JARS` (or the user's cache folder) and checked against their sums.
 * Answers with the reason where Java or the jars cannot be had.
 */
export async function findKafka(): Promise<KafkaJars | { readonly unavailable: string }> {
  const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java';
  const found = await javaVersion(java);
  if (found === undefined || found < LEAST_JAVA) {
    const what = found === undefined ? `no ${java} runs here` : `${java} is Java ${found}`;
    return { unavailable: `Apache Kafka needs Java ${LEAST_JAVA} or newer; ${what}` };
  }
  const jars = readFileSync(LIST, 'utf8').trim().split('\n').map(jarOf);
  const version = /kafka-clients-(.+)\.jar/.exec(
    jars.find((jar) => jar.path.includes('kafka-clients'))!.path,
  )![1]!;
  const folder = process.env.KAFKA_JARS ?? join(cacheFolder(), 'millrace', 'kafka-jars');
  mkdirSync(folder, { recursive: true });
  const waiting = [...jars];
  try {
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let jar = waiting.shift(); jar; jar = waiting.shift()) await fetchJar(folder, jar);
      }),
    );
  } catch (error) {
    return { unavailable: `Apache Kafka's jars cannot be had: ${(error as Error).message}` };
  }
  const classPath = jars.map((jar) => join(folder, basename(jar.path))).join(':');
  return { java, classPath, version };
}

interface Jar {
  readonly sha256: string;
  readonly path: string;
}

function jarOf(line: string): Jar {
  const [sha256, path] = line.split(' ') as [string, string];
  return { sha256, path };
}

async function fetchJar(folder: string, { sha256, path }: Jar): Promise<void> {
  const target = join(folder, basename(path));
  const cached = await readFile(target).catch(() => undefined);
  if (cached && sumOf(cached) === sha256) return;
  const response = await fetch(`${MAVEN_CENTRAL}/${path}`, { signal: AbortSignal.timeout(60_000) });
  if (!response.ok) throw new Error(`${response.url} answers ${response.status}`);
  const bytes = Buffer.from(await response.arrayBuffer());
  if (sumOf(bytes) !== sha256) throw new Error(`${response.url} is not the file that was listed`);
  // Under its name only once it is whole: two test processes may fetch at once.
  await writeFile(`${target}.${process.pid}`, bytes);
  await rename(`${target}.${process.pid}`, target);
}

const sumOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function cacheFolder(): string {
  return process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
}

async function javaVersion(java: string): Promise<number | undefined> {
  try {
    const { stderr } = await promisify(execFile)(java, ['-version']);
    return Number(/version "(\d+)/.exec(stderr)?.[1]);
  } catch {
    return undefined;
  }
}
