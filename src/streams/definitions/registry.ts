import { type Clock, isMillraceError, type JsonSchema, MillraceError, signal } from '../../kernel/index.ts';
import { type KeyPath, parseKeyPath } from '../json/key-path.ts';
import type { LogStore, TopicInfo } from '../port.ts';
import { checkEvolution } from '../schema/compatibility.ts';
import type { CompiledSchema, SchemaCompiler } from '../schema/compile.ts';
import type { SchemaVersion, StreamDefinition, StreamDescription } from '../service.ts';
import { checkName, invalidStreamOf, streamNotFound } from './names.ts';
import type { Repository, StoredDefinition } from './repository.ts';
import {
  differences,
  resolveSettings,
  type StreamSettings,
  sameSchema,
  settingsOfTopic,
  topicConfig,
} from './settings.ts';

type LazySchema = () => CompiledSchema;

/** A stream with what publishing needs of it at hand. */
export interface OpenStream {
  readonly topic: TopicInfo;
  readonly settings: StreamSettings;
  readonly keyPath: KeyPath | undefined;
  readonly schema: LazySchema | undefined;
  readonly definition: StoredDefinition | undefined;
}

interface Plan {
  readonly topic: TopicInfo | undefined;
  readonly next: Omit<StoredDefinition, 'topicId'>;
  readonly newSchema: SchemaVersion | undefined;
  readonly differences: readonly string[];
}

interface RegistryParts {
  readonly log: LogStore;
  readonly repository: Repository;
  readonly compiler: SchemaCompiler;
  readonly clock: Clock;
}

/**
 * The streams there are: topics of the log, with the definition kept for each. The log decides what exists and how many
 * partitions it has; a topic without a definition is a plain stream, a definition without its topic is dropped.
 */
export class Registry {
  readonly #log: LogStore;
  readonly #repository: Repository;
  readonly #compiler: SchemaCompiler;
  readonly #clock: Clock;
  readonly #definitions = new Map<string, StoredDefinition>();
  readonly #opened = new Map<string, OpenStream>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor({ log, repository, compiler, clock }: RegistryParts) {
    this.#log = log;
    this.#repository = repository;
    this.#compiler = compiler;
    this.#clock = clock;
  }

  async start(): Promise<void> {
    for (const definition of await this.#repository.load()) {
      if (this.#log.topics.find(definition.name)?.id === definition.topicId) {
        this.#definitions.set(definition.name, definition);
        continue;
      }
      const message = `The topic of stream '${definition.name}' is gone; its definition is dropped.`;
      signal('platform.log', { level: 'warn', room: 'streams', message });
      await this.#forget(definition.name);
    }
  }

  /** The stream with what publishing needs of it. Throws STREAM_NOT_FOUND. */
  open(name: string): OpenStream {
    const topic = this.#log.topics.find(name);
    if (!topic) throw streamNotFound(name, this.#names());
    const definition = this.#definitionOf(topic);
    const known = this.#opened.get(name);
    if (known && known.topic === topic && known.definition === definition) return known;
    const settings = settingsOfTopic(topic, definition?.settings);
    const stream: OpenStream = {
      topic,
      definition,
      settings,
      keyPath: settings.keyPath === undefined ? undefined : parseKeyPath(settings.keyPath),
      // A log that describes its topic by a new object must not make the schema be compiled again.
      schema: known && known.definition === definition ? known.schema : this.#lazily(settings.schema),
    };
    this.#opened.set(name, stream);
    return stream;
  }

  describe(name: string): StreamDescription {
    const { topic, settings, definition } = this.open(name);
    const { keyPath, schema, ...rest } = settings;
    return {
      name,
      ...rest,
      ...(keyPath === undefined ? {} : { keyPath }),
      ...(schema === undefined ? {} : { schema }),
      schemaVersion: definition?.schemaVersion ?? 0,
      ...(definition?.owner === undefined ? {} : { owner: definition.owner }),
      internal: topic.internal,
      detached: definition?.detached ?? false,
      createdMs: topic.createdMs,
      bounds: Array.from({ length: topic.partitions }, (_, partition) =>
        this.#log.bounds({ topic: name, partition }),
      ),
    };
  }

  find(name: string): StreamDescription | undefined {
    return this.#log.topics.find(name) ? this.describe(name) : undefined;
  }

  list(internal: boolean): readonly StreamDescription[] {
    return this.#log.topics
      .list()
      .filter((topic) => internal || !topic.internal)
      .map(({ name }) => this.describe(name))
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  async schemaVersions(name: string): Promise<readonly SchemaVersion[]> {
    this.open(name);
    return this.#repository.schemas(name);
  }

  define(definition: StreamDefinition): Promise<StreamDescription> {
    return this.#exclusively(async () => {
      const plan = await this.#plan(definition);
      if (!plan.topic || plan.differences.length > 0 || !this.#definitionOf(plan.topic)) {
        await this.#apply(plan, definition.internal ?? false);
      }
      return this.describe(definition.name);
    });
  }

  plan(definition: StreamDefinition): Promise<readonly string[]> {
    return this.#exclusively(async () => (await this.#plan(definition)).differences);
  }

  detach(name: string, owner: string): Promise<void> {
    return this.#exclusively(async () => {
      const { definition } = this.open(name);
      if (!definition || definition.owner !== owner || definition.detached) return;
      const detached = { ...definition, detached: true };
      await this.#repository.save(detached);
      this.#definitions.set(name, detached);
    });
  }

  delete(name: string): Promise<void> {
    return this.#exclusively(async () => {
      this.open(name);
      await this.#log.topics.delete(name);
      await this.#forget(name);
    });
  }

  /** Changes happen one after another: each looks at what the one before has left. */
  #exclusively<Result>(change: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(change);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  #names(): string[] {
    return this.#log.topics.list().flatMap(({ name, internal }) => (internal ? [] : [name]));
  }

  #definitionOf(topic: TopicInfo): StoredDefinition | undefined {
    const definition = this.#definitions.get(topic.name);
    return definition?.topicId === topic.id ? definition : undefined;
  }

  /** Compiling takes milliseconds: a listing of streams needs none of it, publishing needs it once. */
  #lazily(schema: JsonSchema | undefined): LazySchema | undefined {
    if (schema === undefined) return undefined;
    let compiled: CompiledSchema | undefined;
    return () => (compiled ??= this.#compiler.compile(schema));
  }

  async #plan(definition: StreamDefinition): Promise<Plan> {
    const { name } = definition;
    checkName(name, definition.internal ?? false);
    const topic = this.#log.topics.find(name);
    const current = topic ? this.open(name) : undefined;
    checkOwner(definition, current?.definition);
    const settings = resolveSettings(definition, current?.settings);
    // The stream for what does not fit must be possible before there is anything to put there.
    if (settings.onInvalid === 'divert') checkName(invalidStreamOf(name), definition.internal ?? false);
    if (current) checkPartitions(definition, current.settings, settings);
    const newSchema = await this.#planSchema(name, settings, current);
    const schemaVersion =
      newSchema?.version ?? (settings.schema ? (current?.definition?.schemaVersion ?? 0) : 0);
    const owner = definition.owner ?? current?.definition?.owner;
    const detached = definition.owner === undefined && (current?.definition?.detached ?? false);
    const next = { name, owner, detached, schemaVersion, settings };
    const lines = current ? changes(current, next, newSchema) : creation(settings);
    return { topic, next, newSchema, differences: lines };
  }

  async #planSchema(
    name: string,
    { schema, compatibility: mode }: StreamSettings,
    current: OpenStream | undefined,
  ): Promise<SchemaVersion | undefined> {
    if (sameSchema(schema, current?.settings.schema)) return undefined;
    if (schema !== undefined) this.#compiler.compile(schema);
    const earlier = current ? await this.#repository.schemas(name) : [];
    checkEvolution(name, mode, earlier, current?.settings.schema, schema);
    if (schema === undefined) return undefined;
    return { version: (earlier.at(-1)?.version ?? 0) + 1, schema, mode, createdMs: this.#clock.now() };
  }

  /** The topic first: a crash in between leaves a plain stream, which the same definition completes. */
  async #apply({ topic, next, newSchema }: Plan, internal: boolean): Promise<void> {
    const { name, settings } = next;
    const { partitions } = settings;
    const config = topicConfig(settings);
    // A topic deleted through another door leaves its definition and its schema versions behind.
    if (!topic && this.#definitions.has(name)) await this.#forget(name);
    const differs = topic && differences(settingsOfTopic(topic, settings), settings).length > 0;
    const grows = topic && partitions > topic.partitions;
    const made = topic
      ? differs
        ? await this.#log.topics.alter(name, { ...(grows ? { partitions } : {}), config })
        : topic
      : await this.#make({ name, partitions, config, internal });
    const stored = { ...next, topicId: made.id };
    await this.#repository.save(stored, newSchema);
    this.#definitions.set(name, stored);
  }

  /** On a log that several nodes share, another may have made the topic a moment ago: what it made is as good. */
  async #make(spec: Parameters<LogStore['topics']['create']>[0]): Promise<TopicInfo> {
    try {
      return await this.#log.topics.create(spec);
    } catch (error) {
      const there = this.#log.topics.find(spec.name);
      if (!there || !isMillraceError(error, 'STREAM_EXISTS')) throw error;
      return there;
    }
  }

  async #forget(name: string): Promise<void> {
    await this.#repository.remove(name);
    this.#definitions.delete(name);
    this.#opened.delete(name);
  }
}

function checkOwner(definition: StreamDefinition, current: StoredDefinition | undefined): void {
  if (current?.owner === undefined || current.owner === definition.owner || current.detached) return;
  const { name } = definition;
  const remedy = definition.owner
    ? 'Choose another name, or import the stream from that app.'
    : 'Change it in that app and deploy it.';
  throw new MillraceError(
    'NAME_TAKEN',
    `The stream '${name}' belongs to the app '${current.owner}'. ${remedy}`,
  );
}

function checkPartitions(definition: StreamDefinition, current: StreamSettings, next: StreamSettings): void {
  const refuse = (
    code: 'PARTITION_COUNT_INVALID' | 'STREAM_CONFIG_INVALID',
    path: string,
    message: string,
  ): never => {
    throw new MillraceError(code, message, { errors: [{ path, message }] });
  };
  const { name } = definition;
  if (next.partitions < current.partitions) {
    refuse(
      'PARTITION_COUNT_INVALID',
      '/partitions',
      `The stream '${name}' has ${current.partitions} partitions; their number can only grow. Make a new stream for fewer.`,
    );
  }
  if (definition.repartition) return;
  if (next.partitions > current.partitions && current.keyPath !== undefined) {
    refuse(
      'PARTITION_COUNT_INVALID',
      '/partitions',
      `More partitions move the keys of '${name}' to other partitions, and the order of a key is lost across the change. Allow it with repartition.`,
    );
  }
  if (next.keyPath !== current.keyPath && current.keyPath !== undefined) {
    refuse(
      'STREAM_CONFIG_INVALID',
      '/keyPath',
      `Another key moves the records of '${name}' to other partitions, and the order of a key is lost across the change. Allow it with repartition.`,
    );
  }
}

function creation(settings: StreamSettings): string[] {
  const lines = [`create with ${settings.partitions} partition${settings.partitions === 1 ? '' : 's'}`];
  if (settings.keyPath !== undefined) lines.push(`key ${settings.keyPath}`);
  if (settings.schema !== undefined) lines.push('schema version 1');
  return lines;
}

function changes(
  { settings, definition }: OpenStream,
  next: Omit<StoredDefinition, 'topicId'>,
  newSchema: SchemaVersion | undefined,
): string[] {
  const lines = differences(settings, next.settings);
  if (newSchema) lines.push(`schema version ${newSchema.version}`);
  else if (next.settings.schema === undefined && settings.schema !== undefined) lines.push('schema removed');
  if (next.owner !== definition?.owner)
    lines.push(`owner ${definition?.owner ?? 'none'} → ${next.owner ?? 'none'}`);
  if (next.detached !== (definition?.detached ?? false)) lines.push('attached again');
  return lines;
}
