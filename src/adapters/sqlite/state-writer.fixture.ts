import { systemClock } from '../../kernel/index.ts';
import { sqliteStateStore } from './index.ts';

/** Writes pairs of entries for ever and prints each number once it is acknowledged: something to kill. */
const store = sqliteStateStore({ path: process.argv[2]!, clock: systemClock() });

async function writer(lane: number): Promise<never> {
  for (let count = 0; ; count++) {
    await store.transact([
      { kind: 'put', table: 'left', key: `${lane}/${count}`, value: count },
      { kind: 'put', table: 'right', key: `${lane}/${count}`, value: count },
    ]);
    process.stdout.write(`${lane}/${count}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, (_, lane) => writer(lane)));
