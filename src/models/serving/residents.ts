import { type Clock, signal } from '../../kernel/index.ts';
import type { VersionRecord } from '../registry/records.ts';
import type { Served } from './served.ts';

/** Loaded models within a budget of memory: those used longest ago make room. */
export interface Residents {
  /** The version, loaded. A first request loads it and waits; others meanwhile wait with it. */
  get(model: string, version: string): Served | Promise<Served>;
  /** The version when it is loaded, without touching it. */
  peek(model: string, version: string): Served | undefined;
  /** Takes it out, whether it is used or not: what runs finishes. */
  evict(model: string, version: string): Promise<void>;
  readonly bytes: number;
  readonly count: number;
  close(): Promise<void>;
}

export interface ResidentsOptions {
  readonly budgetBytes: number;
  readonly clock: Clock;
  readonly record: (model: string, version: string) => Promise<VersionRecord>;
  /** `idle` is to be called when nothing runs any more: then what is over the budget may go. */
  readonly load: (record: VersionRecord, idle: () => void) => Promise<Served>;
}

interface Resident {
  readonly served: Served;
  usedAt: number;
}

/** Loads at the same time: more would hold many files in memory at once. */
const AT_ONCE = 4;

export function createResidents({ budgetBytes, record, load }: ResidentsOptions): Residents {
  const loaded = new Map<string, Resident>();
  const loading = new Map<string, Promise<Served>>();
  const lanes = createLanes(AT_ONCE);
  let bytes = 0;
  let uses = 0;

  const drop = async (key: string): Promise<void> => {
    const found = loaded.get(key);
    if (!found) return;
    loaded.delete(key);
    bytes -= found.served.model.memoryBytes;
    await found.served.close();
  };

  /** What is used longest ago goes first; what has rows under way stays until they are through. */
  const makeRoom = (forKey: string): void => {
    if (bytes <= budgetBytes) return;
    const oldest = [...loaded].sort(([, a], [, b]) => a.usedAt - b.usedAt);
    for (const [key, { served }] of oldest) {
      if (bytes <= budgetBytes) return;
      if (key === forKey || served.busy) continue;
      drop(key).catch((error: unknown) => {
        const message = `The model ${key} could not be unloaded.`;
        signal('platform.log', { level: 'warn', room: 'models', message, error });
      });
    }
  };

  const open = async (key: string, model: string, version: string): Promise<Served> => {
    try {
      const served = await lanes(async () => load(await record(model, version), () => makeRoom('')));
      loaded.set(key, { served, usedAt: ++uses });
      bytes += served.model.memoryBytes;
      makeRoom(key);
      return served;
    } finally {
      loading.delete(key);
    }
  };

  return {
    get(model, version) {
      const key = `${model}/${version}`;
      const found = loaded.get(key);
      if (found) {
        found.usedAt = ++uses;
        return found.served;
      }
      let under = loading.get(key);
      if (!under) loading.set(key, (under = open(key, model, version)));
      return under;
    },
    peek: (model, version) => loaded.get(`${model}/${version}`)?.served,
    evict: (model, version) => drop(`${model}/${version}`),
    get bytes() {
      return bytes;
    },
    get count() {
      return loaded.size;
    },
    async close() {
      await Promise.allSettled(loading.values());
      await Promise.all([...loaded.keys()].map(drop));
    },
  };
}

/** Runs tasks, so many at a time, in the order they came. */
function createLanes(size: number): <Result>(task: () => Promise<Result>) => Promise<Result> {
  const waiting: (() => void)[] = [];
  let free = size;
  return async (task) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
