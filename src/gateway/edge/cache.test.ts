import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { manualClock } from '../../kernel/index.ts';
import { type Handler, startEdge } from './edge.fixture.ts';

const counting = (headers: readonly (readonly [string, string])[] = []) => {
  let made = 0;
  const handler: Handler = async () => {
    const number = ++made;
    await new Promise(setImmediate);
    return { headers, body: Buffer.from(`answer ${number}`) };
  };
  return { handler, made: () => made };
};

describe('cached responses', () => {
  it('are made once for all who ask meanwhile, and told by age until their time is over', async () => {
    const clock = manualClock();
    const { handler, made } = counting();
    await using door = await startEdge({ handlers: { rate: handler }, clock });
    await door.deploy('shop', '1', [{ fn: 'rate', cache: { ttlMs: 10_000, vary: [] } }]);
    const first = await Promise.all(Array.from({ length: 20 }, async () => (await door.fetch('/')).text()));
    assert.deepEqual(new Set(first), new Set(['answer 1']));
    clock.advance(4000);
    const kept = await door.fetch('/');
    assert.equal(kept.headers.get('age'), '4');
    assert.equal(await kept.text(), 'answer 1');
    clock.advance(6000);
    assert.equal(await (await door.fetch('/')).text(), 'answer 2');
    assert.equal(made(), 2);
  });

  it('are kept apart by query, by the headers they vary by, and by credentials', async () => {
    const { handler, made } = counting();
    await using door = await startEdge({ handlers: { rate: handler } });
    await door.deploy('shop', '1', [{ fn: 'rate', cache: { ttlMs: 10_000, vary: ['accept-language'] } }]);
    const ask = async (path: string, headers: Record<string, string> = {}) =>
      (await door.fetch(path, { headers })).text();
    const all = await Promise.all([
      ask('/?a=1'),
      ask('/?a=2'),
      ask('/?a=1', { 'accept-language': 'de' }),
      ask('/?a=1', { authorization: 'Bearer one' }),
      ask('/?a=1', { authorization: 'Bearer two' }),
    ]);
    assert.equal(new Set(all).size, 5);
    await ask('/?a=1', { 'accept-language': 'de', 'x-other': 'n' });
    assert.equal(made(), 5);
    assert.equal((await door.fetch('/?a=1')).headers.get('vary'), 'accept-language');
  });

  it('end with the version that made them', async () => {
    const { handler } = counting();
    await using door = await startEdge({ handlers: { rate: handler } });
    const cache = { ttlMs: 10_000, vary: [] };
    await door.deploy('shop', '1', [{ fn: 'rate', cache }]);
    assert.equal(await (await door.fetch('/')).text(), 'answer 1');
    await door.deploy('shop', '2', [{ fn: 'rate', cache }]);
    assert.equal(await (await door.fetch('/')).text(), 'answer 2');
  });

  for (const header of [
    ['cache-control', 'no-store'],
    ['set-cookie', 'a=1'],
    ['vary', 'cookie'],
  ] as const) {
    it(`are not kept where the response says ${header.join(': ')}`, async () => {
      const { handler } = counting([header]);
      await using door = await startEdge({ handlers: { rate: handler } });
      await door.deploy('shop', '1', [{ fn: 'rate', cache: { ttlMs: 10_000, vary: [] } }]);
      assert.equal(await (await door.fetch('/')).text(), 'answer 1');
      assert.equal(await (await door.fetch('/')).text(), 'answer 2');
    });
  }

  it('are neither asked nor kept for a request that says no-store', async () => {
    const { handler } = counting();
    await using door = await startEdge({ handlers: { rate: handler } });
    await door.deploy('shop', '1', [{ fn: 'rate', cache: { ttlMs: 10_000, vary: [] } }]);
    assert.equal(await (await door.fetch('/')).text(), 'answer 1');
    const fresh = await door.fetch('/', { headers: { 'cache-control': 'no-store' } });
    assert.equal(await fresh.text(), 'answer 2');
    assert.equal(await (await door.fetch('/')).text(), 'answer 1');
  });

  it('stay within their bytes: what was used longest ago goes first', async () => {
    const made: string[] = [];
    await using door = await startEdge({
      handlers: { rate: ({ url }) => ({ statusCode: made.push(url) && 200, body: Buffer.alloc(6000) }) },
      config: { edgeCache: '64kb' },
    });
    await door.deploy('shop', '1', [{ fn: 'rate', cache: { ttlMs: 10_000, vary: [] } }]);
    for (let index = 0; index < 20; index++) await door.fetch(`/?n=${index}`);
    await door.fetch('/?n=19');
    assert.equal(made.length, 20);
    await door.fetch('/?n=0');
    assert.equal(made.length, 21);
  });
});
