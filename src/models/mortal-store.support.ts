import type { StateStore } from '../kernel/index.ts';

/** A store that nothing gets through to any more after its n-th write. */
export function mortalStore(store: StateStore, write: number) {
  let writes = 0;
  const transact: StateStore['transact'] = async (operations) => {
    writes++;
    if (writes <= write) await store.transact(operations);
    if (writes >= write) throw new Error('killed');
  };
  const proxy = new Proxy(store, {
    get(target, name) {
      if (name === 'transact') return transact;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { store: proxy, dead: () => writes >= write };
}
