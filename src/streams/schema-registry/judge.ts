import { siblingModule, type Workers } from '../../kernel/index.ts';
import { RegistryError } from './errors.ts';
import { type ComparedSchemas, compareSchemas, type PreparedSchema, prepareSchema } from './formats.ts';
import type { CompatibilityLevel, SchemaDraft } from './service.ts';
import type { RegistryStore, SchemaAt } from './store.ts';
import type { JsonRules, ResolvedReference, SchemaReference, SchemaText } from './types.ts';

/** Parsing and comparing more text than this may take milliseconds: a platform worker does it. */
const NEAR_CHARACTERS = 8 * 1024;
const REFERENCES_AT_MOST = 500;
const MODULE = siblingModule(import.meta.url, './formats');

/** What has to understand schemas: reads them, and compares them. */
export interface Judge {
  /** The form in which the schema is kept. Throws 42201. */
  prepare(draft: SchemaDraft, normalize: boolean): Promise<SchemaAt>;
  /** Why `draft` does not go with `earlier` schemas, oldest first. Throws 42201. */
  problems(
    draft: SchemaDraft,
    earlier: readonly SchemaDraft[],
    level: CompatibilityLevel,
    rules: JsonRules,
  ): Promise<readonly string[]>;
  resolve(draft: SchemaDraft): Promise<SchemaText>;
}

export function createJudge(store: RegistryStore, workers: Workers | undefined): Judge {
  const resolveAll = async (
    references: readonly SchemaReference[],
    budget: { left: number },
    above: readonly string[],
  ): Promise<ResolvedReference[]> => {
    const resolved: ResolvedReference[] = [];
    for (const { name, subject, version } of references) {
      const place = `${subject} ${version}`;
      if (budget.left-- === 0)
        throw new RegistryError(42201, `A schema may have ${REFERENCES_AT_MOST} references in all.`);
      if (above.includes(place))
        throw new RegistryError(42201, `The reference '${name}' leads back to itself.`);
      const at = (await store.subject(subject))?.versions.find((each) => each.version === version);
      const schema = at && (await store.schema(at.id));
      if (!schema) {
        const message = `The reference '${name}' leads to version ${version} of subject '${subject}', which is not there. Register that first.`;
        throw new RegistryError(42201, message);
      }
      const inner = await resolveAll(schema.references, budget, [...above, place]);
      resolved.push({ name, text: schema.text, references: inner });
    }
    return resolved;
  };

  const resolve = async ({ type, text, references }: SchemaDraft): Promise<SchemaText> => ({
    type,
    text,
    references: await resolveAll(references, { left: REFERENCES_AT_MOST }, []),
  });

  const isLarge = (schemas: readonly SchemaText[]): boolean =>
    schemas.reduce((sum, { text }) => sum + text.length, 0) > NEAR_CHARACTERS;

  return {
    resolve,
    async prepare(draft, normalize) {
      const schema = await resolve(draft);
      const input = { schema, normalize };
      const prepared =
        workers && isLarge([schema])
          ? await workers.run<PreparedSchema>({ module: MODULE, task: 'prepareSchema' }, input)
          : prepareSchema(input);
      if ('invalid' in prepared)
        throw new RegistryError(42201, `Invalid ${draft.type} schema: ${prepared.invalid}.`);
      return { schema: { ...draft, text: prepared.text }, identity: prepared.identity };
    },
    async problems(draft, earlier, level, rules) {
      if (level === 'NONE' || earlier.length === 0) return [];
      const wanted = level.endsWith('_TRANSITIVE') ? earlier.toReversed() : earlier.slice(-1);
      const input: ComparedSchemas = {
        next: await resolve(draft),
        earlier: await Promise.all(wanted.map(resolve)),
        backward: /^(?:BACKWARD|FULL)/.test(level),
        forward: /^(?:FORWARD|FULL)/.test(level),
        rules,
      };
      return workers && isLarge([input.next, ...input.earlier])
        ? workers.run<readonly string[]>({ module: MODULE, task: 'compareSchemas' }, input)
        : compareSchemas(input);
    },
  };
}
