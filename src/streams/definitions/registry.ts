import { type Clock, MillraceError, signal } from '../../kernel/index.ts';
import { type KeyPath, parseKeyPath } from '../json/key-path.ts';
import type { LogStore, TopicInfo } from '../port.ts';
import { checkEvolution } from '../schema/compatibility.ts';
import type { CompiledSchema, SchemaCompiler } from '../schema/compile.ts';
import type { SchemaVersion, StreamDefinition, StreamDescription } from '../service.ts';
import { checkName, streamNotFound } from './names.ts';
import type { Repository, StoredDefinition } from './repository.ts';
import {
  differences,
  resolveSettings,
  type StreamSettings,
  sameSchema,
  settingsOfTopic,
  topicConfig,
} from './settings.ts';

/** A stream with what publishing needs of it at hand. */
export interface OpenStream {
  readonly topic: TopicInfo;
  readonly settings: StreamSettings;
  readonly keyPath: KeyPath | undefined;
  readonly schema: CompiledSchema | undefined;
  readonly definition: StoredDefinition | undefined;
}

interface Plan {
  readonly topic: TopicInfo | undefined;
  readonly settings: StreamSettings;
  readonly next: Omit<StoredDefinition, 'topicId'>;
  readonly newSchema: SchemaVersion | undefined;
  readonly differences: readonly string[];
}

export interface Registry {
  start(): Promise<void>;
  define(definition: StreamDefinition): Promise<StreamDescription>;
  plan(definition: StreamDefinition): Promise<readonly string[]>;
  detach(name: string, owner: string): Promise<void>;
  delete(name: string): Promise<void>;
  find(name: string): StreamDescription | undefined;
  list(internal: boolean): readonly StreamDescription[];
  schemaVersions(name: string): Promise<readonly SchemaVersion[]>;
  /** Throws STREAM_NOT_FOUND. */
  open(name: string): OpenStream;
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
export function createRegistry({ log, repository, compiler, clock }: RegistryParts): Registry {
  const definitions = new Map<string, StoredDefinition>();
  const opened = new Map<string, OpenStream>();
  let turn: Promise<unknown> = Promise.resolve();

  /** Changes happen one after another: each looks at what the one before has left. */
  const exclusively = <T>(change: () => Promise<T>): Promise<T> => {
    const result = turn.then(change);
    turn = result.catch(() => undefined);
    return result;
  };

  const names = (): string[] => log.topics.list().flatMap(({ name, internal }) => (internal ? [] : [name]));

  const definitionOf = (topic: TopicInfo): StoredDefinition | undefined => {
    const definition = definitions.get(topic.name);
    return definition?.topicId === topic.id ? definition : undefined;
  };

  const open = (name: string): OpenStream => {
    const topic = log.topics.find(name);
    if (!topic) throw streamNotFound(name, names());
    const known = opened.get(name);
    if (known && known.topic === topic && known.definition === definitionOf(topic)) return known;
    const definition = definitionOf(topic);
    const settings = settingsOfTopic(topic, definition?.settings);
    const stream: OpenStream = {
      topic,
      definition,
      settings,
      keyPath: settings.keyPath === undefined ? undefined : parseKeyPath(settings.keyPath),
      // A topic that the log describes by a new object each time must not compile its schema each time.
      schema:
        settings.schema === undefined
          ? undefined
          : known?.definition === definition
            ? known?.schema
            : compiler.compile(settings.schema),
    };
    opened.set(name, stream);
    return stream;
  };

  const describe = ({ topic, settings, definition }: OpenStream): StreamDescription => {
    const { keyPath, schema, ...rest } = settings;
    return {
      name: topic.name,
      ...rest,
      ...(keyPath === undefined ? {} : { keyPath }),
      ...(schema === undefined ? {} : { schema }),
      schemaVersion: definition?.schemaVersion ?? 0,
      ...(definition?.owner === undefined ? {} : { owner: definition.owner }),
      internal: topic.internal,
      detached: definition?.detached ?? false,
      createdMs: topic.createdMs,
      bounds: Array.from({ length: topic.partitions }, (_, partition) => log.bounds({ topic: topic.name, partition })),
    };
  };

  const planSchema = async (name: string, settings: StreamSettings, current: OpenStream | undefined) => {
    const { schema, compatibility: mode } = settings;
    if (sameSchema(schema, current?.settings.schema)) return undefined;
    if (schema !== undefined) compiler.compile(schema);
    const earlier = current ? await repository.schemas(name) : [];
    checkEvolution(name, mode, earlier, current?.settings.schema, schema);
    if (schema === undefined) return undefined;
    return { version: (earlier.at(-1)?.version ?? 0) + 1, schema, mode, createdMs: clock.now() };
  };

  const planDefinition = async (definition: StreamDefinition): Promise<Plan> => {
    const { name } = definition;
    checkName(name, definition.internal ?? false);
    const topic = log.topics.find(name);
    const current = topic ? open(name) : undefined;
    checkOwner(definition, current?.definition);
    const settings = resolveSettings(definition, current?.settings);
    if (current) checkPartitions(definition, current.settings, settings);
    const newSchema = await planSchema(name, settings, current);
    const schemaVersion = newSchema?.version ?? (settings.schema ? (current?.definition?.schemaVersion ?? 0) : 0);
    const owner = definition.owner ?? current?.definition?.owner;
    const detached = definition.owner === undefined && (current?.definition?.detached ?? false);
    return {
      topic,
      settings,
      newSchema,
      next: { name, owner, detached, schemaVersion, settings },
      differences: current ? changes(current, settings, newSchema, owner, detached) : creation(settings),
    };
  };

  const apply = async ({ topic, settings, next, newSchema }: Plan, internal: boolean): Promise<void> => {
    const config = topicConfig(settings);
    const { name } = next;
    let made = topic;
    if (!made) made = await log.topics.create({ name, partitions: settings.partitions, config, internal });
    else {
      const differs = differences(settingsOfTopic(made, settings), settings).length > 0;
      if (differs) made = await log.topics.alter(name, { partitions: settings.partitions, config });
    }
    const stored = { ...next, topicId: made.id };
    await repository.save(stored, newSchema);
    definitions.set(name, stored);
  };

  const forget = async (name: string): Promise<void> => {
    await repository.remove(name);
    definitions.delete(name);
    opened.delete(name);
  };

  return {
    async start() {
      for (const definition of await repository.load()) {
        if (log.topics.find(definition.name)?.id === definition.topicId) {
          definitions.set(definition.name, definition);
          continue;
        }
        const message = `The topic of stream '${definition.name}' is gone; its definition is dropped.`;
        signal('platform.log', { level: 'warn', room: 'streams', message });
        await forget(definition.name);
      }
    },
    define: (definition) =>
      exclusively(async () => {
        const plan = await planDefinition(definition);
        if (plan.topic === undefined || plan.differences.length > 0 || !definitionOf(plan.topic)) {
          if (!plan.topic) await forgetLeftover(definition.name);
          await apply(plan, definition.internal ?? false);
        }
        return describe(open(definition.name));
      }),
    plan: (definition) => exclusively(async () => (await planDefinition(definition)).differences),
    detach: (name, owner) =>
      exclusively(async () => {
        const { definition } = open(name);
        if (!definition || definition.owner !== owner || definition.detached) return;
        const detached = { ...definition, detached: true };
        await repository.save(detached);
        definitions.set(name, detached);
      }),
    delete: (name) =>
      exclusively(async () => {
        open(name);
        await log.topics.delete(name);
        await forget(name);
      }),
    find: (name) => (log.topics.find(name) ? describe(open(name)) : undefined),
    list: (internal) =>
      log.topics
        .list()
        .filter((topic) => internal || !topic.internal)
        .map(({ name }) => describe(open(name)))
        .sort((left, right) => (left.name < right.name ? -1 : 1)),
    async schemaVersions(name) {
      open(name);
      return repository.schemas(name);
    },
    open,
  };

  /** A topic deleted through another door leaves its definition and schema versions behind. */
  async function forgetLeftover(name: string): Promise<void> {
    if (definitions.has(name)) await forget(name);
  }
}

function checkOwner(definition: StreamDefinition, current: StoredDefinition | undefined): void {
  if (current?.owner === undefined || current.owner === definition.owner || current.detached) return;
  const { name } = definition;
  const remedy = definition.owner
    ? 'Choose another name, or import the stream from that app.'
    : 'Change it in that app and deploy it.';
  throw new MillraceError('NAME_TAKEN', `The stream '${name}' belongs to the app '${current.owner}'. ${remedy}`);
}

function checkPartitions(definition: StreamDefinition, current: StreamSettings, next: StreamSettings): void {
  const refuse = (code: 'PARTITION_COUNT_INVALID' | 'STREAM_CONFIG_INVALID', path: string, message: string): never => {
    throw new MillraceError(code, message, { errors: [{ path, message }] });
  };
  const { name } = definition;
  if (next.partitions < current.partitions) {
    refuse('PARTITION_COUNT_INVALID', '/partitions', `The stream '${name}' has ${current.partitions} partitions; their number can only grow. Make a new stream for fewer.`);
  }
  if (definition.repartition) return;
  if (next.partitions > current.partitions && current.keyPath !== undefined) {
    refuse('PARTITION_COUNT_INVALID', '/partitions', `More partitions move the keys of '${name}' to other partitions, and the order of a key is lost across the change. Allow it with repartition.`);
  }
  if (next.keyPath !== current.keyPath && current.keyPath !== undefined) {
    refuse('STREAM_CONFIG_INVALID', '/keyPath', `Another key moves the records of '${name}' to other partitions, and the order of a key is lost across the change. Allow it with repartition.`);
  }
}

function creation(settings: StreamSettings): string[] {
  const lines = [`create with ${settings.partitions} partition${settings.partitions === 1 ? '' : 's'}`];
  if (settings.keyPath !== undefined) lines.push(`key ${settings.keyPath}`);
  if (settings.schema !== undefined) lines.push('schema version 1');
  return lines;
}

function changes(
  current: OpenStream,
  settings: StreamSettings,
  newSchema: SchemaVersion | undefined,
  owner: string | undefined,
  detached: boolean,
): string[] {
  const lines = differences(current.settings, settings);
  if (newSchema) lines.push(`schema version ${newSchema.version}`);
  else if (settings.schema === undefined && current.settings.schema !== undefined) lines.push('schema removed');
  const before = current.definition?.owner;
  if (owner !== before) lines.push(`owner ${before ?? 'none'} → ${owner ?? 'none'}`);
  if (detached !== (current.definition?.detached ?? false)) lines.push(detached ? 'detached' : 'attached again');
  return lines;
}
