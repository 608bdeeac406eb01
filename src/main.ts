import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fsDisk } from './adapters/fs/index.ts';
import { createInProcessRuntime, type InProcessOptions } from './adapters/in-process/index.ts';
import type { CopyOptions, CopySummary } from './adapters/kafka/index.ts';
import { createWorkerThreadsRuntime } from './adapters/worker-threads/index.ts';
import { createDelivery, type Delivery } from './delivery/index.ts';
import {
  createFunctions,
  createInvocations,
  createSchedules,
  createSharedHome,
  createStreamConsumers,
  type Functions,
  functionsSection,
  harnessModule,
  invocationsSection,
  type Runtime,
  type Schedules,
  type StreamConsumers,
  streamConsumersDeployable,
} from './functions/index.ts';
import {
  type ApiDoor,
  appRoutes,
  createApiDoor,
  createEdge,
  createInferenceDoor,
  createInferenceService,
  createKafka,
  type Edge,
  edgeSection,
  functionRoutes,
  type InferenceDoor,
  type InferenceDoorOptions,
  inferenceRoutes,
  type KafkaDoor,
  type KafkaOptions,
  kafkaSection,
  modelOperationRoutes,
  modelRoutes,
  observeRoutes,
  operationRoutes,
  parseAdvertised,
  type RouteGroup,
  redriveRoutes,
  schemaRegistryRoutes,
  secretRoutes,
  statusPageRoutes,
  streamRoutes,
  tokenRoutes,
  withoutWrites,
} from './gateway/index.ts';

import { createSecrets, createTokens, type SecretStore, type Tokens } from './govern/index.ts';
import {
  type BlobStore,
  type Clock,
  type Config,
  createIds,
  createLifecycle,
  createWorkers,
  type Facts,
  type Field,
  flagName,
  type Guard,
  type Ids,
  type LifecycleState,
  loadConfigFile,
  MillraceError,
  onSignal,
  platformSection,
  type Random,
  removeAddresses,
  resolveConfig,
  type Secrets,
  type Service,
  type StateStore,
  siblingModule,
  systemClock,
  systemRandom,
  writeAddresses,
} from './kernel/index.ts';
import { doorCheck, tlsOf } from './main/doors.ts';
import { flattened, OWN_STATE, openKafkaLog } from './main/kafka-log.ts';
import { openModels } from './main/models.ts';
import { dataFolder, diskSubstrate, memorySubstrate } from './main/substrate.ts';
import {
  type Models,
  modelProvider,
  modelsDeployable,
  modelsSection,
  type Operations,
} from './models/index.ts';
import { createLogs, createMetrics, createSamples, type Samples, type SeriesKind } from './observe/index.ts';
import {
  createDecompress,
  createEmbeddedLog,
  createFacts,
  createSchemaRegistry,
  createStreams,
  type LogStore,
  type Streams,
  streamsDeployable,
  streamsSection,
  type VerifyReport,
} from './streams/index.ts';

/** Every room's part of the configuration. */
export const SECTIONS = [
  platformSection,
  functionsSection,
  invocationsSection,
  edgeSection,
  kafkaSection,
  modelsSection,
  streamsSection,
] as const;

/** Every flag of the configuration, for the command line's help and parser. */
export function configurationFields() {
  return SECTIONS.flatMap((section) =>
    Object.entries<Field>(section.fields).map(([key, field]) => ({ flag: flagName(key), field })),
  );
}

export type PlatformConfig = Config<typeof SECTIONS>;

/** What tests and embedders put in place of the real thing. */
export interface PlatformOverrides {
  readonly clock?: Clock;
  readonly random?: Random;
  /** Keeps everything in memory; nothing touches the disk and no folder is locked. */
  readonly memory?: boolean;
  /** Ports that are taken are replaced by free ones, with a line in the log that says so. */
  readonly fallbackPorts?: boolean;
  /** Runs instances; worker threads unless told. */
  readonly runtime?: Runtime;
  /** More routes for the API port. */
  readonly routes?: readonly RouteGroup[];
  /** Runs functions in this thread, with the handlers it has loaded, instead of in instances of their own. */
  readonly handlerOf?: InProcessOptions['handlerOf'];
  /** What functions and routes read secrets from; the platform's own unless told. */
  readonly secrets?: Pick<Secrets, 'read'>;
}

/** Where the doors are; null for those that are closed. */
export interface Addresses {
  readonly edge: string | null;
  readonly api: string | null;
  readonly kafka: string | null;
  readonly inference: string | null;
}

export interface Platform extends AsyncDisposable {
  readonly state: LifecycleState;
  readonly addresses: Addresses;
  readonly streams: Streams;
  readonly functions: Functions;
  readonly schedules: Schedules;
  readonly consumers: StreamConsumers;
  readonly delivery: Delivery;
  readonly ids: Ids;
  readonly store: StateStore;
  readonly blobs: BlobStore;
  readonly facts: Facts;
  readonly guard: Guard;
  readonly tokens: Tokens;
  readonly secrets: SecretStore;
  readonly models: Models & { readonly operations: Operations };
  /** In order; what fails stops what was started before and is thrown. */
  start(): Promise<void>;
  /** Refuses, stops intake, drains until the deadline of the configuration, flushes, closes. */
  stop(): Promise<void>;
}

/** The composition root: everything that runs is made here, in the order in which it starts. */
export function createPlatform(config: PlatformConfig, overrides: PlatformOverrides = {}): Platform {
  const settings = config.platform;
  const clock = overrides.clock ?? systemClock();
  const random = overrides.random ?? systemRandom();
  const ids = createIds(clock, random);
  const version = packageVersion();

  // What holds data
  const folder = resolve(settings.data);
  const onKafka = !overrides.memory && config.streams.streams === 'kafka';
  const workers = createWorkers({ size: 2, queue: 256, idleMs: 30_000, clock });
  const decompress = createDecompress(workers);
  const substrate = overrides.memory
    ? memorySubstrate(clock, random)
    : diskSubstrate(folder, clock, random, {
        decompress,
        ...(onKafka ? { log: openKafkaLog(config.streams, clock) } : {}),
      });
  const { log, store, blobs, cacheFolder } = substrate;

  // Rooms
  const metrics = createMetrics(processUsage);
  const samples = createSamples({ store: substrate.samples, clock });
  const logs = createLogs({ archive: substrate.logs, clock });
  const streams = createStreams({ log, state: store, clock, workers, decompress });
  const facts = createFacts(streams, { clock });
  const { tokens, guard, scram } = createTokens({ state: store, clock, ids, random });
  const secrets = createSecrets({ state: store, clock, random, keyPath: join(folder, 'secrets.key') });

  const readable = overrides.secrets ?? secrets;
  const sdk = siblingModule(import.meta.url, './sdk/index');
  const models = openModels(config.models, { store, blobs, facts, clock, streams, ids, random, workers });
  const functions = createFunctions({
    runtime: runtimeOf(config, overrides, sdk),
    clock,
    ids,
    random,
    config: config.functions,
    streams,
    secrets: readable,
    providers: [modelProvider(models)],
  });
  const invocations = createInvocations({
    dispatcher: functions,
    state: store,
    clock,
    ids,
    random,
    config: config.invocations,
  });
  const edge = openEdge(config, {
    clock,
    ids,
    secrets: readable,
    dispatcher: functions,
    ...(overrides.fallbackPorts ? { fallback: true } : {}),
  });
  const schedules = createSchedules({
    ...{ state: store, dispatcher: functions, clock, ids, random },
    ...(onKafka ? { shared: createSharedHome({ log, clock }) } : {}),
  });
  const consumers = createStreamConsumers({ streams, dispatcher: functions, clock, random });
  const delivery = createDelivery({
    state: store,
    blobs,
    facts,
    clock,
    ids,
    engines: [
      streamsDeployable(streams),
      modelsDeployable(models, models.operations),
      functions.deployable,
      edge.deployable,
      schedules.deployable,
      streamConsumersDeployable(consumers),
    ],
    cacheFolder,
  });

  // Doors
  const addresses = (): Addresses => ({
    edge: edge.url === '' ? null : edge.url,
    api: api?.url ?? null,
    kafka: onKafka ? config.streams.streamsBrokers.join(',') : (kafka?.address ?? null),
    inference: grpc?.address ?? null,
  });
  const status = () => ({
    ...statusOf(streams),
    functions: functions.list().length,
    ...ratesOf(samples),
    addresses: { ...addresses() },
    data: substrate.place,
  });
  const shareable = (group: RouteGroup): RouteGroup => (onKafka ? withoutWrites(group, OWN_STATE) : group);
  const inference = createInferenceService({ models, version, ready: () => lifecycle.state === 'running' });
  const grpc = openInference(config, { clock, guard, service: inference, overrides });
  const api = openApi(config, {
    clock,
    guard,
    version,
    ...(overrides.fallbackPorts ? { fallback: true } : {}),
    groups: [
      shareable(streamRoutes({ streams, state: store, clock, workers })),
      appRoutes({ delivery }),
      functionRoutes({ functions, invocations, ids }),
      redriveRoutes({ consumers }),
      shareable(schemaRegistryRoutes({ registry: createSchemaRegistry({ state: store, streams, workers }) })),
      tokenRoutes({ tokens, clock }),
      operationRoutes({
        version,
        state: () => lifecycle.state,
        metrics: () => metrics.render(),
        verify: async () => reportOf(await log.verify()),
        status,
      }),
      observeRoutes({
        samples,
        logs,
        streams,
        clock,
        functions: () => functions.list(),
        status: () => ({ state: lifecycle.state, version, ...status() }),
      }),
      modelRoutes({ models, workers, fileBytes: config.models.modelFile }),
      modelOperationRoutes({ operations: models.operations, models }),
      inferenceRoutes({ service: inference, workers, requestBytes: config.models.modelRequest }),
      secretRoutes({ secrets }),
      statusPageRoutes(),
      ...(overrides.routes ?? []),
    ],
  });

  // The cluster's own brokers answer Kafka's clients where the log is theirs.
  const kafka = onKafka
    ? undefined
    : openKafka(config, { streams, state: store, clock, random, guard, scram, overrides });

  const lifecycle = createLifecycle([
    workers,
    ...substrate.services,
    samples,
    logs,
    streams,
    facts,
    ...models.services,
    functions,
    consumers,
    schedules,
    delivery,
    // After delivery: what waits from before needs the versions that delivery brings back.
    invocations,
    doorCheck(config, tokens),
    ...(config.platform.edgePort === 'off' ? [] : [edge]),
    ...(api ? [api] : []),
    ...(kafka ? [kafka] : []),
    ...(grpc ? [grpc] : []),
    ...(overrides.memory ? [] : [addressBook(folder, addresses)]),
  ]);

  const stop = (): Promise<void> => lifecycle.stop(settings.drain).finally(() => metrics[Symbol.dispose]());

  return {
    get state() {
      return lifecycle.state;
    },
    get addresses() {
      return addresses();
    },
    streams,
    functions,
    schedules,
    consumers,
    delivery,
    ids,
    store,
    blobs,
    facts,
    guard,
    tokens,
    secrets,
    models,
    start: () => lifecycle.start(),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Flags beat variables, those the file, the file the defaults. Throws CONFIG_INVALID. */
export async function loadConfig(sources: {
  readonly flags: { readonly [flag: string]: unknown };
  readonly env: { readonly [variable: string]: string | undefined };
  readonly folder: string;
}): Promise<PlatformConfig> {
  const file = flattened(await loadConfigFile(sources.folder));
  return resolveConfig(SECTIONS, {
    flags: sources.flags,
    env: sources.env,
    file,
    otherVariables: CLIENT_VARIABLES,
  });
}

/** `MILLRACE_*` variables that the command line and the tests read themselves. */
const CLIENT_VARIABLES = ['MILLRACE_URL', 'MILLRACE_TOKEN', 'MILLRACE_FAULTS', 'MILLRACE_BENCH_DIR'];

export { trainApart } from './main/models.ts';

/** Reads all stored data of a platform that is not running, or the records of its cluster. Throws DATA_FOLDER_LOCKED while one is. */
export async function verifyDataFolder(config: PlatformConfig): Promise<VerifyReport> {
  const clock = systemClock();
  if (config.streams.streams === 'kafka') return verifyLog(openKafkaLog(config.streams, clock), []);
  const path = resolve(config.platform.data);
  if (!existsSync(path)) {
    throw new MillraceError('NOT_FOUND', `There is no data folder ${path}. Name another with --data.`);
  }
  const log = createEmbeddedLog({ disk: fsDisk(join(path, 'log')), clock, random: systemRandom() });
  return verifyLog(log, [dataFolder(path, clock)]);
}

async function verifyLog(log: LogStore, before: readonly Service[]): Promise<VerifyReport> {
  const lifecycle = createLifecycle([...before, log]);
  await lifecycle.start();
  try {
    return await log.verify();
  } finally {
    await lifecycle.stop();
  }
}

/** Copies streams from one Kafka port to another, a cluster's or a platform's. Throws UNAVAILABLE, UNAUTHENTICATED, CONFLICT, STREAM_NOT_FOUND. */
export async function copyStreams(options: CopyOptions): Promise<CopySummary> {
  const { copyTopics } = await import('./adapters/kafka/index.ts');
  return copyTopics(options);
}

/** Gives the platform's own log to `write`, a line an entry, from `info` on. Returns the stop. */
export function onLog(write: (line: string) => void): () => void {
  return onSignal('platform.log', ({ level, room, message, error }) => {
    if (level === 'debug') return;
    const detail = error instanceof Error ? `\n${error.stack ?? error.message}` : '';
    write(`millrace: ${level} ${room}: ${message}${detail}`);
  });
}

/** Gives what functions log to `write`, a line an entry. Returns the stop. */
export function onFunctionLog(write: (line: string) => void): () => void {
  return onSignal('function.log', ({ fn, level, message, attributes }) => {
    const details = attributes === undefined ? '' : ` ${JSON.stringify(attributes)}`;
    write(`${fn}: ${level === 'info' ? '' : `${level}: `}${message}${details}`);
  });
}

/** The version of the package, beside `src/` in a checkout and beside this file once built. */
export function packageVersion(): string {
  const builtOrSource = import.meta.url.endsWith('.ts') ? '../package.json' : './package.json';
  const text = readFileSync(new URL(builtOrSource, import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Lets programs on this machine find the doors, whichever ports they got. */
function addressBook(folder: string, addresses: () => Addresses): Service {
  return {
    name: 'addresses',
    start: () => writeAddresses(folder, { ...addresses() }),
    stop: () => removeAddresses(folder),
  };
}

function openApi(
  config: PlatformConfig,
  parts: Pick<Parameters<typeof createApiDoor>[0], 'clock' | 'guard' | 'version' | 'groups' | 'fallback'>,
): ApiDoor | undefined {
  const { apiHost, apiPort, bodyLimit } = config.platform;
  if (apiPort === 'off') return undefined;
  return createApiDoor({
    ...parts,
    host: apiHost,
    port: apiPort,
    limits: { bodyBytes: bodyLimit },
    ...tlsOf(config),
  });
}

function openKafka(
  config: PlatformConfig,
  {
    overrides,
    ...parts
  }: Pick<KafkaOptions, 'streams' | 'state' | 'clock' | 'random' | 'guard' | 'scram'> & {
    readonly overrides: PlatformOverrides;
  },
): KafkaDoor | undefined {
  const { kafkaHost, kafkaPort, kafkaAdvertised } = config.platform;
  const { kafkaClientCa } = config.kafka;
  if (kafkaPort === 'off') return undefined;
  return createKafka({
    ...parts,
    config: config.kafka,
    host: kafkaHost,
    port: kafkaPort,
    ...(overrides.fallbackPorts ? { fallback: true } : {}),
    ...(kafkaAdvertised === null ? {} : { advertised: parseAdvertised(kafkaAdvertised) }),
    ...tlsOf(config, kafkaClientCa),
  });
}

function openInference(
  config: PlatformConfig,
  {
    overrides,
    ...parts
  }: Pick<InferenceDoorOptions, 'clock' | 'guard' | 'service'> & { readonly overrides: PlatformOverrides },
): InferenceDoor | undefined {
  const { inferenceHost, inferencePort } = config.platform;
  if (inferencePort === 'off') return undefined;
  return createInferenceDoor({
    ...parts,
    host: inferenceHost,
    port: inferencePort,
    requestBytes: config.models.modelRequest,
    ...(overrides.fallbackPorts ? { fallback: true } : {}),
    ...tlsOf(config),
  });
}

function runtimeOf(config: PlatformConfig, overrides: PlatformOverrides, sdk: URL): Runtime {
  const harness = harnessModule();
  if (overrides.runtime) return overrides.runtime;
  if (overrides.handlerOf) return createInProcessRuntime({ harness, handlerOf: overrides.handlerOf });
  return createWorkerThreadsRuntime({ harness, sdk, spares: config.functions.functionSpares });
}

/** Made even when its door stays closed: it checks at deployment whose routes are whose. */
function openEdge(
  config: PlatformConfig,
  parts: Pick<Parameters<typeof createEdge>[0], 'clock' | 'ids' | 'secrets' | 'dispatcher' | 'fallback'>,
): Edge {
  const { edgeHost, edgePort } = config.platform;
  return createEdge({
    ...parts,
    host: edgeHost,
    port: edgePort === 'off' ? 0 : edgePort,
    config: config.edge,
    ...tlsOf(config),
  });
}

function processUsage() {
  const { user, system } = process.cpuUsage();
  return {
    residentBytes: process.memoryUsage.rss(),
    cpuSeconds: (user + system) / 1e6,
    uptimeSeconds: process.uptime(),
  };
}

/** A second, over the last 10 to 20. */
function ratesOf(samples: Samples) {
  const total = (kind: SeriesKind, measure: string): number => {
    const live = samples.live(kind);
    const sum = [...live.names()].reduce((before, name) => before + live.rate(name, measure), 0);
    return Number(sum.toPrecision(3));
  };
  return {
    recordsPerSecond: total('stream', 'records'),
    invocationsPerSecond: total('function', 'invocations'),
    errorsPerSecond: total('function', 'errors'),
  };
}

function statusOf(streams: Streams) {
  const all = streams.list();
  const { residentBytes, uptimeSeconds } = processUsage();
  return {
    uptimeSeconds: Math.round(uptimeSeconds),
    memoryBytes: residentBytes,
    streams: all.length,
    partitions: all.reduce((sum, stream) => sum + stream.partitions, 0),
  };
}

function reportOf({ damages, ...counts }: VerifyReport) {
  return { ...counts, damages: damages.map((damage) => ({ ...damage })) };
}
