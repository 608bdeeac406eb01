import { describe } from 'node:test';
import { cleanupContract } from './contract/cleanup.ts';
import { commitContract, groupContract } from './contract/groups.ts';
import type { MakeStore } from './contract/harness.ts';
import { producerContract, transactionContract } from './contract/producers.ts';
import { appendContract, fetchContract, timeContract } from './contract/records.ts';
import { reopenContract } from './contract/reopen.ts';
import { topicContract } from './contract/topics.ts';

export type { MakeStore, StoreUnderTest } from './contract/harness.ts';

/** The executable specification of `LogStore`: what every adapter passes, whatever it stores its records in. */
export function logStoreContract(name: string, make: MakeStore): void {
  describe(`log store contract: ${name}`, () => {
    describe('topics', () => topicContract(make));
    describe('append', () => appendContract(make));
    describe('fetch', () => fetchContract(make));
    describe('seek by time', () => timeContract(make));
    describe('cleaning', () => cleanupContract(make));
    describe('idempotent producers', () => producerContract(make));
    describe('transactions', () => transactionContract(make));
    describe('groups', () => groupContract(make));
    describe('atomic commits', () => commitContract(make));
    describe('reopening', () => reopenContract(make));
  });
}
