import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findKafka, type KafkaJars } from './kafka-jars.ts';

export interface KafkaClusterOptions {
  /** Brokers, each of them a controller too; 1 unless told. Kafka takes 3 for a cluster that outlives one of them. */
  readonly nodes?: number;
  /** Beside or in place of what every node is given, as in `server.properties`. */
  readonly properties?: { readonly [name: string]: string | number };
  /** Protocol of the listener for clients: PLAINTEXT unless told. */
  readonly clientProtocol?: 'PLAINTEXT' | 'SSL' | 'SASL_PLAINTEXT' | 'SASL_SSL';
  /** Users of SCRAM-SHA-256 and SCRAM-SHA-512, by name. */
  readonly scramUsers?: { readonly [name: string]: string };
  /** Most heap of each node. */
  readonly heapMb?: number;
  /** What is not said with the defaults: room for benches to raise the ceiling. */
  readonly javaOptions?: readonly string[];
}

/** Apache Kafka (KRaft) on free ports of this machine, its data in a folder of its own that goes with it. */
export interface KafkaCluster extends AsyncDisposable {
  readonly version: string;
  /** `host:port` of every node, in order, whether it runs or not. */
  readonly brokers: readonly string[];
  readonly folder: string;
  /** Ends a node at once, as a power failure would. */
  kill(node: number): Promise<void>;
  /** Starts a node that was killed, over the data it left, and waits until it serves. */
  restart(node: number): Promise<void>;
  /** Stops a node in its tracks: its connections stay open, nobody answers. Resolves when that is so. */
  pause(node: number): Promise<void>;
  resume(node: number): void;
  /** Runs one of Kafka's own tools by its class, such as `org.apache.kafka.tools.TopicCommand`; answers with its stdout. */
  tool(mainClass: string, arguments_: readonly string[]): Promise<string>;
  /** The last lines of a node's log. */
  logOf(node: number, lines?: number): string;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 90_000;
const ASK_EVERY_MS = 100;
/** One run of a tool of Kafka's; starting Java alone takes seconds where the machine is busy. */
const TOOL_WITHIN_MS = 120_000;

/** Why no Kafka cluster can be started here, to be printed by what is skipped; undefined where one can. */
export async function kafkaUnavailable(): Promise<string | undefined> {
  const found = await findKafka();
  return 'unavailable' in found ? found.unavailable : undefined;
}

/** Resolves once every node lists all nodes. Throws where Kafka cannot be had: ask `kafkaUnavailable` first. */
export async function startKafka(options: KafkaClusterOptions = {}): Promise<KafkaCluster> {
  const jars = await findKafka();
  if ('unavailable' in jars) throw new Error(jars.unavailable);
  const count = options.nodes ?? 1;
  const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-'));
  const ports = await freePorts(count * 2);
  const plan: Plan = {
    ...{ jars, folder, options, count },
    clientPorts: ports.slice(0, count),
    controllerPorts: ports.slice(count),
    clusterId: makeClusterId(),
  };
  const running = new Map<number, ChildProcess>();
  const killAll = (): void => {
    for (const child of running.values()) child.kill('SIGKILL');
  };
  process.once('exit', killAll);
  const stop = async (): Promise<void> => {
    process.removeListener('exit', killAll);
    await Promise.all([...running.values()].map(ended));
    running.clear();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const nodes = Array.from({ length: count }, (_, node) => node);
  const start = (node: number): void => void running.set(node, startNode(plan, node));
  const ready = (node: number): Promise<void> => waitUntilReady(plan, node, () => running.get(node)!);
  try {
    await Promise.all(nodes.map((node) => format(plan, node)));
    nodes.forEach(start);
    await Promise.all(nodes.map(ready));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    version: jars.version,
    brokers: plan.clientPorts.map((port) => `127.0.0.1:${port}`),
    folder,
    async kill(node) {
      await ended(running.get(node)!);
      running.delete(node);
    },
    async restart(node) {
      start(node);
      await ready(node);
    },
    async pause(node) {
      running.get(node)!.kill('SIGSTOP');
      const asked = (): Promise<number> => listedBrokers(plan.clientPorts[node]!, true).catch(() => 0);
      for (const until = Date.now() + READY_WITHIN_MS; (await asked()) > 0; ) {
        if (Date.now() > until) throw new Error(`Kafka's node ${node} does not stand still.`);
      }
    },
    resume: (node) => void running.get(node)!.kill('SIGCONT'),
    async tool(mainClass, arguments_) {
      const run = promisify(execFile);
      const words = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp', jars.classPath, mainClass, ...arguments_];
      const limits = { maxBuffer: 64 * 1024 * 1024, timeout: TOOL_WITHIN_MS };
      return (await run(jars.java, words, limits)).stdout;
    },
    logOf: (node, lines) => tailOf(logPath(plan, node), lines),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

interface Plan {
  readonly jars: KafkaJars;
  readonly folder: string;
  readonly options: KafkaClusterOptions;
  readonly count: number;
  readonly clientPorts: readonly number[];
  readonly controllerPorts: readonly number[];
  readonly clusterId: string;
}

/** As Kafka makes them: none that begins with a minus, which its tools take for an option. */
function makeClusterId(): string {
  const bytes = randomBytes(16);
  // The first six bits below 32: a letter.
  bytes[0]! &= 0x7f;
  return bytes.toString('base64url');
}

const logPath = (plan: Plan, node: number): string => join(plan.folder, `node-${node}.log`);
const propertiesPath = (plan: Plan, node: number): string => join(plan.folder, `node-${node}.properties`);

/** A node that is both broker and controller, with internal topics as safe as the cluster's size allows. */
function propertiesOf(plan: Plan, node: number): { readonly [name: string]: string | number } {
  const { count, options, clientPorts, controllerPorts } = plan;
  const replicas = Math.min(3, count);
  const mostIsr = Math.max(1, replicas - 1);
  return {
    'process.roles': 'broker,controller',
    'node.id': node,
    'controller.quorum.voters': controllerPorts.map((port, id) => `${id}@127.0.0.1:${port}`).join(','),
    listeners: `CLIENTS://127.0.0.1:${clientPorts[node]},CONTROLLER://127.0.0.1:${controllerPorts[node]}`,
    'advertised.listeners': `CLIENTS://127.0.0.1:${clientPorts[node]}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'CLIENTS',
    'listener.security.protocol.map': `CLIENTS:${options.clientProtocol ?? 'PLAINTEXT'},CONTROLLER:PLAINTEXT`,
    'log.dirs': join(plan.folder, `node-${node}`),
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': mostIsr,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': mostIsr,
    'default.replication.factor': replicas,
    'min.insync.replicas': mostIsr,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1_000,
    ...options.properties,
  };
}

async function format(plan: Plan, node: number): Promise<void> {
  const lines = Object.entries(propertiesOf(plan, node)).map(([name, value]) => `${name}=${value}`);
  mkdirSync(join(plan.folder, `node-${node}`), { recursive: true });
  writeFileSync(propertiesPath(plan, node), `${lines.join('\n')}\n`);
  const scram = Object.entries(plan.options.scramUsers ?? {}).flatMap(([name, password]) =>
    ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${name},password=${password}]`,
    ]),
  );
  const where = ['--cluster-id', plan.clusterId, '--config', propertiesPath(plan, node)];
  const words = [
    ...['-Xmx128m', '-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'],
    ...['-cp', plan.jars.classPath, 'kafka.tools.StorageTool', 'format', ...where, ...scram],
  ];
  await promisify(execFile)(plan.jars.java, words, { timeout: TOOL_WITHIN_MS });
}

function startNode(plan: Plan, node: number): ChildProcess {
  const { heapMb = 512, javaOptions = [] } = plan.options;
  const log = openSync(logPath(plan, node), 'a');
  return spawn(
    plan.jars.java,
    [
      ...[
        `-Xmx${heapMb}m`,
        '-XX:+UseSerialGC',
        '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
        ...javaOptions,
      ],
      ...['-cp', plan.jars.classPath, 'kafka.Kafka', propertiesPath(plan, node)],
    ],
    { stdio: ['ignore', log, log] },
  );
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function waitUntilReady(plan: Plan, node: number, child: () => ChildProcess): Promise<void> {
  const until = Date.now() + READY_WITHIN_MS;
  // With TLS or SASL in front only the listener can be asked, not the node behind it.
  const open = (plan.options.clientProtocol ?? 'PLAINTEXT') === 'PLAINTEXT';
  for (;;) {
    const listed = await listedBrokers(plan.clientPorts[node]!, open).catch(() => 0);
    if (listed >= (open ? plan.count : 1)) return;
    if (child().exitCode !== null || Date.now() > until) {
      throw new Error(`Kafka's node ${node} does not start:\n${tailOf(logPath(plan, node))}`);
    }
    await delay(ASK_EVERY_MS);
  }
}

/** Asks for the brokers with Metadata, version 0: the answer begins with their number. Without `ask`, 1 once it listens. */
async function listedBrokers(port: number, ask: boolean): Promise<number> {
  const socket = connect(port, '127.0.0.1');
  socket.setTimeout(2_000, () => socket.destroy());
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(2_000) });
    if (!ask) return 1;
    const request = Buffer.alloc(18);
    request.writeInt32BE(14, 0);
    request.writeInt16BE(3, 4);
    request.writeInt16BE(-1, 12);
    request.writeInt32BE(0, 14);
    socket.write(request);
    const [answer] = (await once(socket, 'data', { signal: AbortSignal.timeout(2_000) })) as [Buffer];
    return answer.readInt32BE(8);
  } finally {
    socket.destroy();
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function tailOf(path: string, lines = 40): string {
  return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}
