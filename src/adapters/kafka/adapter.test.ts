import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isMillraceError, LIMITS } from '../../kernel/index.ts';
import { DEFAULT_TOPIC_CONFIG, type OffsetCommit } from '../../streams/port.ts';
import { CommitQueue } from './commit-queue.ts';
import { FrameReader } from './frame-reader.ts';
import { createNames } from './names.ts';
import { MOST_METADATA, readPosition, readRuns, writeMetadata, writeRuns } from './positions.ts';
import { authenticate, type Exchange } from './sasl.ts';
import { fromKafkaConfig, toKafkaConfig } from './topic-config.ts';

const position = fc
  .record({
    offset: fc.nat(),
    gaps: fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 60 }),
    metadata: fc.option(fc.string({ minLength: 1, maxLength: 30 }), { nil: undefined }),
  })
  .map(({ offset, gaps, metadata }): OffsetCommit => {
    let last = offset;
    const done = gaps.map((gap) => (last += gap));
    return { topic: 't', partition: 1, offset, done, ...(metadata === undefined ? {} : { metadata }) };
  });

describe('positions in the metadata of committed offsets', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(position, (commit) => {
        const { topic, partition, offset } = commit;
        const metadata = writeMetadata(commit);
        assert.deepEqual(
          readPosition({ topic, partition, offset, leaderEpoch: -1, metadata }).position,
          commit,
        );
      }),
    );
  });

  it('leave what clients wrote alone', () => {
    const committed = { topic: 't', partition: 0, offset: 7, leaderEpoch: -1 };
    const { position } = readPosition({ ...committed, metadata: 'a note' });
    assert.deepEqual(position, { topic: 't', partition: 0, offset: 7, done: [], metadata: 'a note' });
    assert.equal(writeMetadata(position), 'a note');
  });

  it('point to a record where they do not fit', () => {
    const done = Array.from({ length: 10_000 }, (_, index) => 3 + index * 2);
    const commit = { topic: 't', partition: 0, offset: 1, done, metadata: 'm' };
    assert.ok(writeMetadata(commit).length > MOST_METADATA);
    const metadata = writeMetadata(commit, { partition: 0, offset: 42 });
    assert.ok(metadata.length < 100);
    const read = readPosition({ topic: 't', partition: 0, offset: 1, leaderEpoch: -1, metadata });
    assert.deepEqual(read.spilledAt, { partition: 0, offset: 42 });
    assert.equal(read.position.metadata, 'm');
    assert.deepEqual(readRuns(1, writeRuns(1, done)), done);
  });

  it('that cannot be read are damage, not an empty position', () => {
    assert.throws(
      () => readRuns(0, '1+0'),
      (error) => isMillraceError(error, 'DATA_DAMAGED'),
    );
  });
});

describe('the queue of commits', () => {
  it('leaves none behind that comes while it ends', async () => {
    const turn = { ordered: () => undefined, overtaken: () => false };
    const waiting = { checked: { commit: { appends: [], offsets: [], state: [] }, appends: [] }, turn };
    // The second comes so many microtasks after the first was done: before, while and after the queue is found empty.
    for (let later = 0; later < 20; later++) {
      const done = Promise.withResolvers<void>();
      const queue = new CommitQueue(async (commits) => {
        done.resolve();
        return commits.map(() => ({ status: 'COMMITTED', appends: [] }));
      });
      const first = queue.add(waiting);
      await done.promise;
      for (let turns = 0; turns < later; turns++) await undefined;
      let second = false;
      void Promise.resolve(queue.add(waiting)).then(() => (second = true));
      await first;
      for (let turns = 0; turns < 5; turns++) await new Promise(setImmediate);
      assert.ok(second, `the one that came ${later} microtasks later`);
    }
  });
});

describe('frames', () => {
  it('are found wherever the socket cuts', () => {
    const frames = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 });
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (bodies, cuts) => {
        const sized = bodies.map((body) => {
          const size = Buffer.alloc(4);
          size.writeInt32BE(body.length);
          return Buffer.concat([size, body]);
        });
        const all = Buffer.concat(sized);
        const found: Buffer[] = [];
        const reader = new FrameReader((frame) => void found.push(Buffer.from(frame)));
        for (let at = 0, cut = 0; at < all.length; cut++) {
          const size = cuts[cut % cuts.length]!;
          reader.add(all.subarray(at, at + size));
          at += size;
        }
        assert.deepEqual(found, sized);
      }),
    );
  });

  it('of absurd sizes are refused', () => {
    const reader = new FrameReader(() => undefined);
    assert.throws(() => reader.add(Buffer.from([0x7f, 255, 255, 255])), /bytes/);
  });
});

describe('names in the cluster', () => {
  it('carry the prefix; others and the own topics are not shown', () => {
    const names = createNames('shop.');
    assert.equal(names.fromCluster(names.inCluster('orders')), 'orders');
    assert.equal(names.fromCluster('orders'), undefined);
    assert.equal(names.fromCluster(names.facts), undefined);
    assert.equal(createNames('').fromCluster('__consumer_offsets'), undefined);
  });

  it('of changelogs differ wherever groups or stores do, and fit', () => {
    const names = createNames('');
    const pairs = [
      ['a', 'b.c'],
      ['a.b', 'c'],
      ['a-b', 'c'],
      ['ä'.repeat(300), 'c'],
      ['ö'.repeat(300), 'c'],
    ] as const;
    const changelogs = pairs.map(([group, store]) => names.changelog(group, store));
    assert.equal(new Set(changelogs).size, pairs.length);
    for (const name of changelogs) {
      assert.match(name, /^[A-Za-z0-9._-]+$/);
      assert.ok(name.length <= LIMITS.nameLength, name);
    }
  });
});

describe('configurations of topics', () => {
  it('come back as they were, with segments of at least a megabyte', () => {
    const config = { ...DEFAULT_TOPIC_CONFIG, cleanup: 'compact,delete', retentionMs: null } as const;
    assert.deepEqual(fromKafkaConfig(toKafkaConfig(config)), config);
    const small = fromKafkaConfig(toKafkaConfig({ ...config, segmentBytes: 1024 }));
    assert.equal(small.segmentBytes, 1024 * 1024);
  });
});

describe('SCRAM', () => {
  const user = { mechanism: 'SCRAM-SHA-256', username: 'user', password: 'pencil' } as const;

  it('refuses a broker that does not know the password', async () => {
    const broker: Exchange = async (message) => {
      const text = Buffer.from(message).toString();
      const nonce = /r=([^,]+)/.exec(text)![1]!;
      if (text.startsWith('n,,')) return Buffer.from(`r=${nonce}more,s=c2FsdA==,i=4096`);
      return Buffer.from(`v=${Buffer.alloc(32).toString('base64')}`);
    };
    await assert.rejects(authenticate(user, broker), (error) => isMillraceError(error, 'UNAUTHENTICATED'));
  });

  it('refuses a challenge with another nonce or too little work', async () => {
    for (const challenge of ['r=else,s=c2FsdA==,i=4096', 'i=1', '']) {
      const broker: Exchange = async () => Buffer.from(challenge);
      await assert.rejects(authenticate(user, broker), (error) => isMillraceError(error, 'UNAUTHENTICATED'));
    }
  });
});
