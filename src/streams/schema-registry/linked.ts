import type { Streams } from '../service.ts';
import type { CompatibilityLevel } from './service.ts';
import type { RegistryStore, SchemaAt, StoredSubject } from './store.ts';

type KnownStreams = Pick<Streams, 'list' | 'find' | 'schemaVersions'>;

const SUFFIX = '-value';

/** The streams that have a schema, seen as the subjects `<stream>-value`. */
export interface LinkedStreams {
  /** Brings the versions of the stream's schema into its subject. Without a subject: those of all streams. */
  adopt(subject?: string): Promise<void>;
  /** The mode of the stream that a subject belongs to; undefined where it belongs to none. */
  level(subject: string): CompatibilityLevel | undefined;
}

export function createLinkedStreams(streams: KnownStreams, store: RegistryStore): LinkedStreams {
  /** What was brought over already, so that most calls have nothing to do. */
  const adopted = new Map<string, string>();

  const streamOf = (subject: string) => {
    if (!subject.endsWith(SUFFIX)) return undefined;
    const stream = streams.find(subject.slice(0, -SUFFIX.length));
    return stream?.schema === undefined ? undefined : stream;
  };

  const adoptStream = async (name: string, mark: string): Promise<void> => {
    if (adopted.get(name) === mark) return;
    for (const { schema } of await streams.schemaVersions(name)) {
      const text = JSON.stringify(schema);
      const draft: SchemaAt = { schema: { type: 'JSON', text, references: [] }, identity: text };
      await store.addVersion(name + SUFFIX, draft, async (before, id) =>
        before?.versions.some((version) => version.id === id) ? undefined : nextVersion(before),
      );
    }
    adopted.set(name, mark);
  };

  return {
    async adopt(subject) {
      const wanted = subject === undefined ? streams.list() : [streamOf(subject)];
      for (const stream of wanted) {
        if (stream?.schema === undefined) continue;
        await adoptStream(stream.name, `${stream.createdMs} ${stream.schemaVersion}`);
      }
    },
    level: (subject) => {
      const stream = streamOf(subject);
      return stream && (stream.compatibility.toUpperCase().replace('-', '_') as CompatibilityLevel);
    },
  };
}

export const nextVersion = (subject: StoredSubject | undefined): number =>
  Math.max(0, ...(subject?.versions.map(({ version }) => version) ?? [])) + 1;
