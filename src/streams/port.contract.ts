import { describe } from 'node:test';
import { cleanupContract } from './contract/cleanup.contract.ts';
import { commitContract, groupContract, holderContract } from './contract/groups.contract.ts';
import type { MakeStore } from './contract/harness.support.ts';
import { producerContract, transactionContract } from './contract/producers.contract.ts';
import { appendContract, fetchContract, timeContract } from './contract/records.contract.ts';
import { reopenContract } from './contract/reopen.contract.ts';
import { topicContract } from './contract/topics.contract.ts';

export type { MakeStore, StoreUnderTest } from './contract/harness.support.ts';

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
    describe('members of a protocol', () => holderContract(make));
    describe('atomic commits', () => commitContract(make));
    describe('reopening', () => reopenContract(make));
  });
}
