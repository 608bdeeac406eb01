import { DEFAULT_OPERATIONS, type Json, type ModelOperations, type StateStore } from '../../kernel/index.ts';

/** How each model is operated: what its app says, or what was set over HTTP. In memory, and in the store. */
export interface OperationsStore {
  load(): Promise<void>;
  of(model: string): ModelOperations;
  set(model: string, operations: ModelOperations): Promise<void>;
  /** Every model for which something was said. */
  list(): readonly [model: string, operations: ModelOperations][];
}

const TABLE = 'models.operations';

export function createOperationsStore(state: StateStore): OperationsStore {
  const known = new Map<string, ModelOperations>();
  return {
    async load() {
      for (let after: string | undefined; ; ) {
        const page = await state.list(TABLE, { limit: 1000, ...(after === undefined ? {} : { after }) });
        for (const { key, value } of page) known.set(key, value as unknown as ModelOperations);
        after = page.at(-1)?.key;
        if (page.length < 1000) return;
      }
    },
    of: (model) => known.get(model) ?? DEFAULT_OPERATIONS,
    async set(model, operations) {
      const value = operations as unknown as Json;
      await state.transact([{ kind: 'put', table: TABLE, key: model, value }]);
      known.set(model, operations);
    },
    list: () => [...known],
  };
}
