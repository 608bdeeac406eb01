import { type FunctionManifest, type InputProblem, type Json, MillraceError } from '../../kernel/index.ts';
import { type CompiledSchema, createSchemaCompiler } from '../../streams/index.ts';

/** Checks what a function is called with by name against the schema it declares. Throws BAD_JSON, INVALID_INPUT. */
export function createInputCheck(): (manifest: FunctionManifest, input: Uint8Array | undefined) => void {
  const compiler = createSchemaCompiler();
  const known = new WeakMap<FunctionManifest, CompiledSchema>();
  return (manifest, input) => {
    if (manifest.input === undefined) return;
    let schema = known.get(manifest);
    if (!schema) known.set(manifest, (schema = compiler.compile(manifest.input)));
    const problems = input === undefined ? MISSING : schema.problems(parse(input), input.byteLength);
    if (problems.length === 0) return;
    const { path, message } = problems[0]!;
    throw new MillraceError(
      'INVALID_INPUT',
      `The input of '${manifest.name}' does not fit its schema: ${path === '' ? 'it' : path} ${message}.`,
      { errors: problems },
    );
  };
}

const MISSING: readonly InputProblem[] = [{ path: '', message: 'is missing' }];

function parse(input: Uint8Array): Json {
  try {
    return JSON.parse(Buffer.from(input.buffer, input.byteOffset, input.byteLength).toString()) as Json;
  } catch (error) {
    throw new MillraceError('BAD_JSON', `The input is not valid JSON: ${(error as Error).message}.`);
  }
}
