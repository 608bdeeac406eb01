import { MillraceError } from '../../kernel/index.ts';
import type { VersionRecord } from './records.ts';

/** `auc>=0.9` */
export interface MetricCondition {
  readonly metric: string;
  readonly operator: '>' | '>=' | '<' | '<=' | '=';
  readonly value: number;
}

export interface VersionQuery {
  /** Words, all of which have to begin a word of the name, the card, the tags or the lineage. */
  readonly text?: string;
  readonly model?: string;
  readonly tags?: readonly (readonly [name: string, value: string])[];
  readonly metrics?: readonly MetricCondition[];
  /** At most 1,000; 50 unless told. */
  readonly limit?: number;
  /** The last entry of the page before. */
  readonly after?: number;
}

export interface VersionPage {
  /** Newest first. */
  readonly versions: readonly FoundVersion[];
  /** To be passed as `after`; null when there are no more. */
  readonly next: number | null;
}

/** What the index keeps of a version. */
export interface FoundVersion {
  readonly model: string;
  readonly version: string;
  readonly number: number;
  readonly createdMs: number;
  readonly metrics: { readonly [name: string]: number };
  readonly tags: { readonly [name: string]: string };
}

/**
 * All versions in memory, by word: a posting list holds the places of its versions in the order of registration. A query
 * makes a set of bits of each of its conditions and takes what all of them have, from the newest on; metrics are columns
 * of numbers. So the work of a query is bounded by the number of versions, and is small for each.
 */
export interface SearchIndex {
  add(version: VersionRecord): void;
  setTags(model: string, version: string, tags: FoundVersion['tags']): void;
  remove(model: string, version: string): void;
  find(query: VersionQuery): VersionPage;
  readonly size: number;
}

const MOST_CARD_WORDS = 200;

export function createSearchIndex(): SearchIndex {
  const entries: (FoundVersion | undefined)[] = [];
  const places = new Map<string, number>();
  const postings = new Map<string, number[]>();
  const columns = new Map<string, Float64Array>();
  /** All words in order, made when a query first needs a prefix after a change. */
  let sorted: string[] | undefined;

  const post = (word: string, place: number): void => {
    const list = postings.get(word);
    if (!list) {
      postings.set(word, [place]);
      sorted = undefined;
    } else if (list.at(-1) !== place) list.push(place);
  };

  const measure = (metric: string, place: number, value: number): void => {
    let column = columns.get(metric);
    if (!column || column.length <= place) {
      const larger = new Float64Array(Math.max(1024, place * 2)).fill(Number.NaN);
      if (column) larger.set(column);
      columns.set(metric, (column = larger));
    }
    column[place] = value;
  };

  /** The lists of every word that begins so. */
  const withPrefix = (prefix: string): readonly (readonly number[])[] => {
    const words = (sorted ??= [...postings.keys()].filter((word) => word.startsWith('w:')).sort());
    const wanted = `w:${prefix}`;
    const lists: number[][] = [];
    for (let at = firstFrom(words, wanted); words[at]?.startsWith(wanted); at++) {
      lists.push(postings.get(words[at]!)!);
    }
    return lists;
  };

  /** For each condition the lists of which one has to hold a version. */
  const conditionsOf = ({ text, model, tags = [] }: VersionQuery): (readonly (readonly number[])[])[] => {
    const named = (word: string): readonly (readonly number[])[] => [postings.get(word) ?? []];
    return [
      ...wordsOf(text ?? '').map(withPrefix),
      ...(model === undefined ? [] : [named(`m:${model}`)]),
      ...tags.map(([name, value]) => named(`t:${name}=${value}`)),
    ];
  };

  /** Versions that meet all conditions but those on metrics; undefined for all. */
  const bitsOf = (query: VersionQuery): Uint32Array | undefined => {
    let all: Uint32Array | undefined;
    for (const lists of conditionsOf(query)) {
      const bits = new Uint32Array((entries.length + 31) >>> 5);
      for (const list of lists) for (const place of list) bits[place >>> 5]! |= 1 << (place & 31);
      if (all) for (let at = 0; at < all.length; at++) all[at]! &= bits[at]!;
      else all = bits;
    }
    return all;
  };

  return {
    get size() {
      return places.size;
    },
    add(record) {
      const { model, version, number, createdMs, metrics, tags, card, by, lineage } = record;
      const place = entries.length;
      entries.push({ model, version, number, createdMs, metrics, tags });
      places.set(`${model}/${version}`, place);
      post(`m:${model}`, place);
      const text = [model, version, by, lineage.run ?? '', ...Object.entries(tags).flat()].join(' ');
      for (const word of wordsOf(text)) post(`w:${word}`, place);
      for (const word of wordsOf(card).slice(0, MOST_CARD_WORDS)) post(`w:${word}`, place);
      for (const [name, value] of Object.entries(tags)) post(`t:${name}=${value}`, place);
      for (const [name, value] of Object.entries(metrics)) measure(name, place, value);
    },
    setTags(model, version, tags) {
      const place = places.get(`${model}/${version}`);
      const entry = place === undefined ? undefined : entries[place];
      if (place === undefined || !entry) return;
      for (const [name, value] of Object.entries(entry.tags))
        removeFrom(postings.get(`t:${name}=${value}`), place);
      entries[place] = { ...entry, tags };
      for (const [name, value] of Object.entries(tags)) {
        insert(postings, `t:${name}=${value}`, place);
        for (const word of [...wordsOf(name), ...wordsOf(value)]) insert(postings, `w:${word}`, place);
      }
      sorted = undefined;
    },
    remove(model, version) {
      const place = places.get(`${model}/${version}`);
      if (place === undefined) return;
      entries[place] = undefined;
      places.delete(`${model}/${version}`);
    },
    find(query) {
      const limit = Math.min(query.limit ?? 50, 1000);
      const bits = bitsOf(query);
      const checks = (query.metrics ?? []).map(({ metric, operator, value }) => {
        const column = columns.get(metric);
        const compare = COMPARISONS[operator]!;
        return (place: number): boolean => column !== undefined && compare(column[place]!, value);
      });
      const found: FoundVersion[] = [];
      let place = Math.min(query.after ?? entries.length, entries.length) - 1;
      for (; place >= 0; place--) {
        if (bits && (bits[place >>> 5]! & (1 << (place & 31))) === 0) {
          // Nothing else in these 32: on to the next.
          if (bits[place >>> 5] === 0) place &= ~31;
          continue;
        }
        const entry = entries[place];
        if (!entry || !checks.every((check) => check(place))) continue;
        found.push(entry);
        if (found.length === limit) break;
      }
      return { versions: found, next: place > 0 ? place : null };
    },
  };
}

const COMPARISONS: { readonly [operator: string]: (measured: number, value: number) => boolean } = {
  '>': (measured, value) => measured > value,
  '>=': (measured, value) => measured >= value,
  '<': (measured, value) => measured < value,
  '<=': (measured, value) => measured <= value,
  '=': (measured, value) => measured === value,
};

/** Small letters and digits, parted by anything else. */
export function wordsOf(text: string): string[] {
  return [...new Set(text.toLowerCase().split(/[^\p{L}\p{N}]+/u))].filter((word) => word !== '');
}

/** `auc>=0.9` as people write it. Throws INVALID_INPUT. */
export function parseMetricCondition(text: string): MetricCondition {
  const match = /^([^<>=]+)(>=|<=|>|<|=)(-?[\d.]+(?:e-?\d+)?)$/i.exec(text.replaceAll(' ', ''));
  const value = Number(match?.[3]);
  if (match && Number.isFinite(value)) {
    return { metric: match[1]!, operator: match[2] as MetricCondition['operator'], value };
  }
  const message = `'${text.slice(0, 100)}' is not a condition on a metric; write one such as auc>=0.9.`;
  throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/metric', message }] });
}

/** Index of the first of the sorted texts that is not below `text`. */
function firstFrom(sorted: readonly string[], text: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Index of the last of the sorted places that is at most `place`; -1 when there is none. */
function upTo(sorted: readonly number[], place: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! <= place) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function has(sorted: readonly number[], place: number): boolean {
  return sorted[upTo(sorted, place)] === place;
}

function insert(postings: Map<string, number[]>, word: string, place: number): void {
  const list = postings.get(word);
  if (!list) postings.set(word, [place]);
  else if (!has(list, place)) list.splice(upTo(list, place) + 1, 0, place);
}

function removeFrom(list: number[] | undefined, place: number): void {
  const at = list ? upTo(list, place) : -1;
  if (list && list[at] === place) list.splice(at, 1);
}
