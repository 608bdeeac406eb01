/**
 * A state store that is told what to do, one command a line on standard input, and answers each with one line: `ok …` or
 * the code of the error. So that the test can make its system calls fail from outside.
 */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { sqliteStateStore } from '../../../src/adapters/sqlite/index.ts';
import { isMillraceError, systemClock } from '../../../src/kernel/index.ts';

const store = sqliteStateStore({ path: join(process.argv[2]!, 'state.db'), clock: systemClock() });
await store.start?.();

async function answer(command: string, argument: string): Promise<string> {
  if (command === 'append') {
    await store.transact([{ kind: 'put', table: 't', key: argument, value: argument }]);
    return '';
  }
  if (command === 'read') return (await store.list('t')).map(({ key }) => key).join(',');
  throw new Error(`There is no command ${command}.`);
}

console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...rest] = line.split(' ');
  try {
    console.log(`ok ${await answer(command!, rest.join(' '))}`);
  } catch (error) {
    console.log(isMillraceError(error) ? `${error.code} ${error.message}` : `UNEXPECTED ${error}`);
  }
}
