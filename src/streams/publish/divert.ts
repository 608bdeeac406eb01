import type { InputProblem } from '../../kernel/index.ts';
import { invalidStreamOf } from '../definitions/names.ts';
import type { OpenStream, Registry } from '../definitions/registry.ts';
import type { LogStore } from '../port.ts';
import type { RecordHeader } from '../service.ts';

/** Header values stay small, whatever a record has wrong with it. */
const PROBLEMS_SHOWN = 20;

/** What a diverted record carries beside its own headers: why, and where it was meant to go. */
export function divertHeaders(
  stream: string,
  problems: readonly InputProblem[],
  own: readonly RecordHeader[] = [],
): RecordHeader[] {
  const first = problems[0]!;
  const summary = `${first.path === '' ? 'the value' : first.path} ${first.message}`;
  return [
    ...own,
    { key: 'millrace-stream', value: Buffer.from(stream) },
    { key: 'millrace-error', value: Buffer.from(summary) },
    { key: 'millrace-problems', value: Buffer.from(JSON.stringify(problems.slice(0, PROBLEMS_SHOWN))) },
  ];
}

/** The stream for records that do not fit comes into being with the first of them. Gives its name. */
export async function ensureInvalidStream(
  { log, registry }: { readonly log: LogStore; readonly registry: Registry },
  stream: OpenStream,
): Promise<string> {
  const name = invalidStreamOf(stream.topic.name);
  if (log.topics.find(name)) return name;
  const { retentionMs, retentionBytes } = stream.settings;
  const owner = stream.definition?.owner;
  await registry.define({ name, retentionMs, retentionBytes, ...(owner === undefined ? {} : { owner }) });
  return name;
}
