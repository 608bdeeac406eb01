import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createRouter, type Method, shapeOf } from './router.ts';

const routerOf = (...routes: string[]) =>
  createRouter(
    routes.map((text) => {
      const [method, path] = text.split(' ');
      return { method: method as Method, path: path!, text };
    }),
  );

describe('routes', () => {
  it('prefers what is more specific: literal, then parameter, then rest', () => {
    const router = routerOf('GET /a/b', 'GET /a/:x', 'GET /a/*rest', 'GET /:x/b', 'GET /*all');
    const found = (path: string) => router.find('GET', path)?.route.text;
    assert.equal(found('/a/b'), 'GET /a/b');
    assert.equal(found('/a/c'), 'GET /a/:x');
    assert.equal(found('/a/c/d'), 'GET /a/*rest');
    assert.equal(found('/z/b'), 'GET /:x/b');
    assert.equal(found('/z/c'), 'GET /*all');
  });

  it('goes on to a less specific route when the specific one lacks the method', () => {
    const router = routerOf('POST /a/b', 'GET /a/:x');
    assert.equal(router.find('GET', '/a/b')?.route.text, 'GET /a/:x');
    assert.deepEqual(router.methods('/a/b'), ['GET', 'POST']);
    assert.equal(router.find('HEAD', '/a/b')?.route.text, 'GET /a/:x');
    assert.equal(router.find('DELETE', '/a/b'), undefined);
  });

  it('hands over parameters decoded, and never lets an encoded slash separate', () => {
    const router = routerOf('GET /files/:name', 'GET /deep/:id/*rest');
    assert.equal(router.find('GET', '/files/a%2Fb%20c')?.params.name, 'a/b c');
    const { params } = router.find('GET', '/deep/7/x/y%3F/z')!;
    assert.equal(params.id, '7');
    assert.equal(params.rest, 'x/y?/z');
    assert.equal(router.find('GET', '/files/%C3%BC')?.params.name, 'ü');
  });

  it('treats a trailing slash as none, and an encoded letter as the letter', () => {
    const router = routerOf('GET /hello', 'GET /');
    assert.equal(router.find('GET', '/hello/')?.route.text, 'GET /hello');
    assert.equal(router.find('GET', '/h%65llo')?.route.text, 'GET /hello');
    assert.equal(router.find('GET', '/')?.route.text, 'GET /');
    assert.equal(router.find('GET', '/hello//'), undefined);
  });

  it('refuses what could step out of a folder', () => {
    const router = routerOf('GET /files/*path', 'GET /one/:name');
    for (const path of [
      '/files/../etc',
      '/files/%2e%2e/etc',
      '/files/a%2F..%2Fb',
      '/one/..%5Cx',
      '/one/%00',
      '/one/%zz',
    ]) {
      assert.throws(() => router.find('GET', path), { code: 'BAD_REQUEST' }, path);
    }
    assert.equal(router.find('GET', '/one/a..b')?.params.name, 'a..b');
  });

  it('knows which routes no request could tell apart', () => {
    const shape = (text: string) => shapeOf({ method: 'GET', path: text });
    assert.equal(shape('/a/:x'), shape('/a/:other'));
    assert.notEqual(shape('/a/:x'), shape('/a/*x'));
  });

  it('finds the same as trying every route in the order of specificity', () => {
    const segment = fc.constantFrom('a', 'b', ':p', ':q');
    const path = fc
      .tuple(fc.array(segment, { maxLength: 3 }), fc.boolean())
      .map(([segments, rest]) => `/${[...segments, ...(rest ? ['*r'] : [])].join('/')}`);
    const target = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(path, { maxLength: 8 }), target, (paths, parts) => {
        const routes = [
          ...new Map(paths.map((each) => [shapeOf({ method: 'GET', path: each }), each])).values(),
        ];
        const rank = (each: string) =>
          each
            .slice(1)
            .split('/')
            .map((one) => (one.startsWith('*') ? '3' : one.startsWith(':') ? '2' : one === '' ? '' : '1'))
            .join('');
        const fits = (each: string) => {
          const wanted = each === '/' ? [] : each.slice(1).split('/');
          const isRest = wanted.at(-1)?.startsWith('*');
          if (isRest ? parts.length < wanted.length : parts.length !== wanted.length) return false;
          return wanted.every((one, index) => /^[:*]/.test(one) || one === parts[index]);
        };
        const best = routes.filter(fits).sort((a, b) => (rank(a) < rank(b) ? -1 : 1))[0];
        const router = createRouter(routes.map((each) => ({ method: 'GET' as const, path: each })));
        assert.equal(router.find('GET', `/${parts.join('/')}`)?.route.path, best);
      }),
      { numRuns: 500 },
    );
  });
});
