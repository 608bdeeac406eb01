import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isMillraceError } from '../errors.ts';
import type { BlobStore } from './blob-store.ts';

/** An empty store that is closed and removed at the end. */
export interface BlobStoreUnderTest extends AsyncDisposable {
  readonly store: BlobStore;
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const notFound = (error: unknown): boolean => isMillraceError(error, 'BLOB_NOT_FOUND');
const badRequest = (error: unknown): boolean => isMillraceError(error, 'BAD_REQUEST');

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(chunks));
}

/** What every BlobStore does. */
export function blobStoreContract(adapter: string, open: () => Promise<BlobStoreUnderTest>): void {
  describe(`BlobStore: ${adapter}`, () => {
    content(open);
    failures(open);
    listing(open);
  });
}

function content(open: () => Promise<BlobStoreUnderTest>): void {
  it('gives back what was put, with its size and hash', async () => {
    await using under = await open();
    const bytes = bytesOf('flour');
    const info = await under.store.put('a/b.txt', bytes);
    assert.deepEqual([info.key, info.bytes, info.sha256], ['a/b.txt', 5, sha256(bytes)]);
    assert.deepEqual(await under.store.info('a/b.txt'), info);
    assert.equal(textOf(await under.store.get('a/b.txt')), 'flour');
    assert.equal(textOf(await collect(under.store.stream('a/b.txt'))), 'flour');
  });

  it('takes and gives streams larger than any buffer', async () => {
    await using under = await open();
    const chunk = new Uint8Array(65_536).map((_, index) => index % 251);
    async function* chunks() {
      for (let count = 0; count < 40; count++) yield chunk;
    }
    const whole = Buffer.concat(Array.from({ length: 40 }, () => chunk));
    const info = await under.store.put('big', chunks());
    assert.deepEqual([info.bytes, info.sha256], [whole.length, sha256(whole)]);
    assert.ok(whole.equals(await collect(under.store.stream('big'))));
  });

  it('reads ranges', async () => {
    await using under = await open();
    await under.store.put('k', bytesOf('0123456789'));
    const range = async (start: number, end?: number) =>
      textOf(await under.store.get('k', end === undefined ? { start } : { start, end }));
    assert.deepEqual(
      [await range(2, 5), await range(7), await range(8, 99), await range(10), await range(3, 3)],
      ['234', '789', '89', '', ''],
    );
    await assert.rejects(range(5, 2), badRequest);
    await assert.rejects(range(-1), badRequest);
  });

  it('B2 replaces a blob as a whole; readers of the old one finish with the old bytes', async () => {
    await using under = await open();
    const old = new Uint8Array(3_000_000).fill(1);
    await under.store.put('k', old);
    const reader = under.store.stream('k')[Symbol.asyncIterator]();
    const parts = [(await reader.next()).value as Uint8Array];
    await under.store.put('k', bytesOf('new'));
    for (let next = await reader.next(); !next.done; next = await reader.next()) parts.push(next.value);
    assert.ok(Buffer.from(old).equals(Buffer.concat(parts)));
    assert.equal(textOf(await under.store.get('k')), 'new');
  });

  it('keeps its own copy', async () => {
    await using under = await open();
    const bytes = bytesOf('abc');
    await under.store.put('k', bytes);
    bytes[0] = 0;
    (await under.store.get('k'))[1] = 0;
    assert.equal(textOf(await under.store.get('k')), 'abc');
  });
}

function failures(open: () => Promise<BlobStoreUnderTest>): void {
  it('says BLOB_NOT_FOUND for what is not there, and deletes without complaint', async () => {
    await using under = await open();
    await under.store.put('dir/k', bytesOf('x'));
    for (const key of ['absent', 'dir', 'dir/k/under']) {
      await assert.rejects(under.store.get(key), notFound);
      await assert.rejects(collect(under.store.stream(key)), notFound);
      assert.equal(await under.store.info(key), undefined);
      await under.store.delete(key);
    }
    await under.store.delete('dir/k');
    assert.equal(await under.store.info('dir/k'), undefined);
  });

  it('holds a blob and others below its name', async () => {
    await using under = await open();
    await under.store.put('a', bytesOf('1'));
    await under.store.put('a/b', bytesOf('2'));
    assert.equal(textOf(await under.store.get('a')) + textOf(await under.store.get('a/b')), '12');
    await under.store.delete('a');
    assert.equal(textOf(await under.store.get('a/b')), '2');
  });

  it('refuses keys that are not of the form', async () => {
    await using under = await open();
    for (const key of [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      'a/../b',
      'a\\b',
      'ä',
      'a b',
      'x'.repeat(513),
    ]) {
      await assert.rejects(under.store.put(key, bytesOf('x')), badRequest, key);
      await assert.rejects(under.store.get(key), badRequest, key);
    }
    await under.store.put('x'.repeat(200), bytesOf('x'));
    await under.store.put('...', bytesOf('x'));
  });

  it('B1 leaves nothing of a stream that fails half way', async () => {
    await using under = await open();
    await under.store.put('k', bytesOf('before'));
    async function* failing() {
      yield bytesOf('half');
      throw new Error('the source ended');
    }
    await assert.rejects(under.store.put('k', failing()), /the source ended/);
    await assert.rejects(under.store.put('new', failing()), /the source ended/);
    assert.equal(textOf(await under.store.get('k')), 'before');
    assert.equal((await under.store.list('')).length, 1);
  });
}

function listing(open: () => Promise<BlobStoreUnderTest>): void {
  it('lists by prefix, after and limit, in order of the keys', async () => {
    await using under = await open();
    const segment = fc.stringMatching(/^[ab.-]{1,2}$/).filter((each) => each !== '.' && each !== '..');
    const key = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    const keys = [...new Set(fc.sample(key, { numRuns: 40, seed: 7 }))];
    for (const each of keys) await under.store.put(each, bytesOf(each));
    const sorted = keys.toSorted((a, b) => (a < b ? -1 : 1));
    const list = async (...range: Parameters<BlobStore['list']>) =>
      (await under.store.list(...range)).map((info) => info.key);
    assert.deepEqual(await list(''), sorted);
    for (const prefix of ['a', 'a/', 'b/a', '-', 'zz']) {
      assert.deepEqual(
        await list(prefix),
        sorted.filter((each) => each.startsWith(prefix)),
      );
    }
    const after = sorted[9]!;
    assert.deepEqual(await list('', { after, limit: 5 }), sorted.slice(10, 15));
  });
}
