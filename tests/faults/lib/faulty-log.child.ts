/**
 * A log that is told what to do, one command a line on standard input, and answers each with one line: `ok …` or the
 * code of the error. So that the test can fill its disk or make its system calls fail from outside.
 */
import { createInterface } from 'node:readline';
import { isMillraceError } from '../../../src/kernel/index.ts';
import { batchOf, openFolder, readPartition } from './log.ts';

const PLACE = { topic: 't', partition: 0 };
const log = await openFolder(process.argv[2]!, { flushDelayMs: 50 });
if (!log.topics.find('t')) {
  await log.topics.create({
    name: 't',
    partitions: 1,
    config: { segmentBytes: 256 * 1024, retentionMs: null },
  });
}

async function answer(command: string, argument: string): Promise<string> {
  if (command === 'append') {
    const result = await log.append({ ...PLACE, batch: batchOf(`${argument} ${'x'.repeat(4_000)}`) });
    return String(result.baseOffset);
  }
  if (command === 'read') {
    const { records } = await readPartition(log, PLACE);
    return records.map((record) => record.value.split(' ')[0]).join(',');
  }
  if (command === 'delete') return String(await log.deleteRecords(PLACE, Number(argument)));
  throw new Error(`There is no command ${command}.`);
}

console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [command, argument] = line.split(' ');
  try {
    console.log(`ok ${await answer(command!, argument!)}`);
  } catch (error) {
    console.log(isMillraceError(error) ? `${error.code} ${error.message}` : `UNEXPECTED ${error}`);
  }
}
