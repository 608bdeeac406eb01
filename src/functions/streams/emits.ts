import { isMillraceError, MillraceError } from '../../kernel/index.ts';
import type { AppendInput, PublishRecord, Streams } from '../../streams/index.ts';
import type { Emit, FunctionError } from '../invocation.ts';
import type { StreamConsumerConfig } from './config.ts';

/** Emits ready for the commit, and the records whose emits were refused; undefined: nobody knows which record it was. */
export interface EncodedEmits {
  readonly appends: readonly AppendInput[];
  readonly refused: ReadonlyMap<number | undefined, FunctionError>;
}

const NOTHING: EncodedEmits = { appends: [], refused: new Map() };

/** Nearly every emit is a value and nothing else. */
function toRecord({ value, key, headers }: Emit): PublishRecord {
  if (headers.length > 0) return key === undefined ? { value, headers } : { value, key, headers };
  return key === undefined ? { value } : { value, key };
}

/** Turns a refusal by the stream into a failure of the function that emitted. What only an operator can mend is thrown on. */
function refusalOf(stream: string, error: unknown): FunctionError {
  if (!isMillraceError(error) || error.action !== 'fix') throw error;
  const problems = error.errors.slice(0, 10).map(({ path, message }) => `${path}: ${message}`);
  const message = [`An emit to '${stream}' was refused. ${error.message}`, ...problems].join('\n');
  return { code: 'RESULT_INVALID', name: error.code, message };
}

function byStream(emits: readonly Emit[]): Map<string, Emit[]> {
  const groups = new Map<string, Emit[]>();
  for (const emit of emits) {
    const group = groups.get(emit.stream);
    if (group) group.push(emit);
    else groups.set(emit.stream, [emit]);
  }
  return groups;
}

/** Names the records of `emits` that the stream refuses, by asking for each on its own. */
async function findRefused(
  streams: Streams,
  stream: string,
  emits: readonly Emit[],
  refused: Map<number | undefined, FunctionError>,
): Promise<void> {
  for (const emit of emits) {
    try {
      await streams.encode(stream, [toRecord(emit)]);
    } catch (error) {
      refused.set(emit.causeOffset, refusalOf(stream, error));
    }
  }
}

function checkLimits(emits: readonly Emit[], config: StreamConsumerConfig): void {
  const bytes = emits.reduce((sum, emit) => sum + emit.value.length, 0);
  if (emits.length <= config.emitRecords && bytes <= config.emitBytes) return;
  throw new MillraceError(
    'PAYLOAD_TOO_LARGE',
    `One invocation emitted ${emits.length} records of ${bytes} bytes; at most ${config.emitRecords} and ${config.emitBytes} are possible. Emit less per record, or ask for smaller batches.`,
  );
}

/**
 * Checks and encodes what an event emitted. All is encoded in one go per stream; only when a stream refuses something is
 * each emit tried, to find whose it was. Then nothing is encoded: the caller leaves those records out and asks again.
 */
export async function encodeEmits(
  streams: Streams,
  emits: readonly Emit[],
  config: StreamConsumerConfig,
): Promise<EncodedEmits> {
  if (emits.length === 0) return NOTHING;
  const appends: AppendInput[] = [];
  const refused = new Map<number | undefined, FunctionError>();
  try {
    checkLimits(emits, config);
  } catch (error) {
    for (const emit of emits) refused.set(emit.causeOffset, refusalOf(emit.stream, error));
    return { appends, refused };
  }
  for (const [stream, group] of byStream(emits)) {
    try {
      appends.push(...(await streams.encode(stream, group.map(toRecord))));
    } catch (error) {
      const refusal = refusalOf(stream, error);
      await findRefused(streams, stream, group, refused);
      if (refused.size === 0) for (const emit of group) refused.set(emit.causeOffset, refusal);
    }
  }
  return refused.size > 0 ? { appends: [], refused } : { appends, refused };
}
