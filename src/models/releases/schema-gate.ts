import { describeBreaks } from '../registry/compatibility.ts';
import type { VersionRecord } from '../registry/records.ts';
import type { GateResult } from './verdict.ts';

/** Whether those who use the current version could use the new one without noticing. */
export function judgeSchema(current: VersionRecord | null, next: VersionRecord): GateResult {
  const breaks = current ? describeBreaks(current, next) : [];
  const reason =
    breaks.length > 0
      ? breaks.map(({ message }) => message).join(' ')
      : 'Inputs and outputs are those of the current version.';
  return { gate: 'schema', verdict: breaks.length > 0 ? 'fail' : 'pass', reason };
}
