import {
  type ContextProvider,
  isMillraceError,
  type Json,
  MillraceError,
  type Secrets,
  signal,
} from '../../kernel/index.ts';
import type { Streams } from '../../streams/index.ts';
import type { InvocationOutcome } from '../invocation.ts';
import type { CallOperation, Payload } from '../protocol.ts';
import type { CallAnswer } from './live-instance.ts';
import { type PageSource, readPage } from './read-page.ts';
import { fromArgument, fromPayload, headersOf } from './wire.ts';
import type { PoolIdentity, Work } from './work.ts';

export interface CallSurroundings {
  readonly streams: Pick<Streams, 'publish'> & PageSource;
  readonly secrets: Pick<Secrets, 'read'>;
  readonly providers: readonly ContextProvider[];
  /** Runs another function one level deeper, in the version that belongs to the caller's. */
  invoke(caller: Work, fn: string, input: Uint8Array | undefined): Promise<InvocationOutcome>;
}

export type Answerer = (
  identity: PoolIdentity,
  work: Work | undefined,
  operation: CallOperation,
  answer: (message: CallAnswer) => void,
) => void;

/** Answers what running invocations ask of the platform: emit, invoke, state, secrets, and what other rooms provide. */
export function createAnswerer(around: CallSurroundings): Answerer {
  return (identity, work, operation, answer) => {
    perform(around, identity, work, operation).then(
      (value) => answer({ kind: 'answer', value }),
      (error: unknown) => answer(refusalOf(identity, operation, error)),
    );
  };
}

async function perform(
  around: CallSurroundings,
  identity: PoolIdentity,
  work: Work | undefined,
  operation: CallOperation,
): Promise<Json | Uint8Array | undefined> {
  if (!work) {
    const message =
      'The invocation has ended: what it still asks for comes too late. Await it in the handler.';
    throw new MillraceError('CONFLICT', message);
  }
  switch (operation[0]) {
    case 'emit': {
      const [, stream, value, key, headers] = operation;
      const record = {
        value: fromPayload(value)!,
        headers: headersOf(headers),
        ...(key === undefined ? {} : { key }),
      };
      await around.streams.publish(stream, [record]);
      return undefined;
    }
    case 'invoke':
      return invoke(around, work, operation[1], operation[2]);
    case 'state':
      if (work.event.kind === 'records') return work.event.readState(operation[1]);
      throw new MillraceError('BAD_REQUEST', 'Keyed state belongs to the records of a stream.');
    case 'read':
      return readPage(around.streams, operation[1], operation[2], operation[3]);
    case 'secret':
      return readSecret(around, identity, operation[1]);
    case 'provider': {
      const [, name, resource, method, args] = operation;
      const provider = around.providers.find((each) => each.name === name);
      if (!provider) throw new MillraceError('NOT_FOUND', `This platform has no ctx.${name}.`);
      const { invocationId } = work.context;
      const caller = { app: identity.app, fn: identity.manifest.name, invocationId, traceId: work.traceId };
      const answer = await provider.call(caller, resource, method, args.map(fromArgument));
      return answer === undefined || answer instanceof Uint8Array ? answer : JSON.stringify(answer);
    }
  }
}

async function invoke(
  around: CallSurroundings,
  work: Work,
  fn: string,
  input: Payload,
): Promise<Uint8Array | undefined> {
  const outcome = await around.invoke(work, fn, fromPayload(input));
  if (outcome.status === 'error') {
    const { code, name, message } = outcome.error;
    throw new MillraceError(code, `'${fn}' failed with ${name}: ${message}`);
  }
  return outcome.value.kind === 'json' ? outcome.value.json : undefined;
}

function readSecret(around: CallSurroundings, { manifest }: PoolIdentity, name: string): Promise<string> {
  // The instance checks too, for a quick answer; this check is the one that counts.
  if (manifest.secrets.includes(name)) return around.secrets.read(name);
  throw new MillraceError('FORBIDDEN', `'${manifest.name}' does not declare the secret '${name}'.`);
}

function refusalOf({ manifest }: PoolIdentity, operation: CallOperation, error: unknown): CallAnswer {
  if (isMillraceError(error)) {
    const problems = error.errors.map(({ path, message }) => `${path}: ${message}`).join('; ');
    const message =
      problems && !error.message.includes(problems) ? `${error.message} (${problems})` : error.message;
    return { kind: 'refusal', code: error.code, message };
  }
  signal('platform.log', {
    level: 'error',
    room: 'functions',
    message: `'${manifest.name}' asked for ${operation[0]} and met a fault.`,
    error,
  });
  return {
    kind: 'refusal',
    code: 'INTERNAL',
    message: 'Something went wrong inside the platform; its log has the details.',
  };
}
