import { readFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { MOST_ARTIFACT_BYTES, type ModelManifest } from '../kernel/index.ts';
import type { ModelDraft } from './options/model.ts';

export interface ModelFiles {
  readonly models: readonly ModelManifest[];
  /** By path in the artifact. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Absolute paths of what was read. */
  readonly inputs: readonly string[];
}

/** Reads the files that models name, by their paths from the app's folder; what is missing is a problem of the model. */
export function readModelFiles(drafts: readonly ModelDraft[], root: string): ModelFiles {
  const files = new Map<string, Uint8Array>();
  const inputs: string[] = [];
  const read = (draft: ModelDraft, option: string, path: string): Uint8Array | undefined => {
    const absolute = resolve(root, path);
    if (isAbsolute(path)) draft.problem(option, `is '${path}'; give the path from the app's folder.`);
    try {
      const bytes = readFileSync(absolute);
      inputs.push(absolute);
      if (bytes.length <= MOST_ARTIFACT_BYTES) return bytes;
      draft.problem(
        option,
        `'${path}' is larger than an app may be; upload it to POST /models/${draft.name}/versions.`,
      );
    } catch (error) {
      draft.problem(option, `'${path}' cannot be read: ${(error as Error).message}.`);
    }
    return undefined;
  };
  /** Rows for the gates travel with the app, as the file does. */
  const withHeldBack = (draft: ModelDraft): Partial<ModelManifest> => {
    const { operations } = draft.manifest;
    const written = operations?.gates?.heldBack;
    if (written == null) return {};
    const bytes = read(draft, 'gates.heldBack', written);
    const path = `models/${draft.name}.held-back`;
    if (bytes) files.set(path, bytes);
    return { operations: { ...operations!, gates: { ...operations!.gates!, heldBack: path } } };
  };
  const models = drafts.map((draft): ModelManifest => {
    const { manifest, file, vocabularies, name } = draft;
    const bytes = file === undefined ? undefined : read(draft, 'file', file);
    const serving = withVocabularies(manifest.serving, vocabularies, (option, path) =>
      read(draft, option, path),
    );
    const declared = { ...manifest, serving, ...withHeldBack(draft) };
    if (!bytes) return declared;
    const path = `models/${name}.onnx`;
    files.set(path, bytes);
    return { ...declared, file: path };
  });
  return { models, files, inputs };
}

type Serving = ModelManifest['serving'];

function withVocabularies(
  serving: Serving,
  vocabularies: ModelDraft['vocabularies'],
  read: (option: string, path: string) => Uint8Array | undefined,
): Serving {
  const preprocess: { [input: string]: NonNullable<Serving['preprocess']>[string] } = {
    ...serving.preprocess,
  };
  for (const [input, path] of Object.entries(vocabularies)) {
    const declared = preprocess[input]!;
    const option = declared.kind === 'tokenizer' ? 'file' : 'vocabulary';
    const bytes = path === '' ? undefined : read(`inputs.${input}.${option}`, path);
    if (!bytes) continue;
    const text = Buffer.from(bytes).toString('utf8');
    if (declared.kind === 'tokenizer') preprocess[input] = { ...declared, tokenizer: text };
    if (declared.kind !== 'wordpiece') continue;
    const vocabulary = text.split(/\r?\n/);
    if (vocabulary.at(-1) === '') vocabulary.pop();
    preprocess[input] = { ...declared, vocabulary };
  }
  return Object.keys(preprocess).length === 0 ? serving : { ...serving, preprocess };
}
