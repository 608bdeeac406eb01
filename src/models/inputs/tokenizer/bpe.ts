import type { Json } from '../../../kernel/index.ts';
import { type Fields, fieldsOf, listOf, textOf, unusable, wholeOf } from './json.ts';

/** Ids of a word. */
export type Encode = (word: string) => readonly number[];

export function vocabularyOf(value: Json | undefined): Map<string, number> {
  const found = new Map<string, number>();
  for (const [piece, id] of Object.entries(fieldsOf(value, 'model.vocab'))) {
    found.set(piece, wholeOf(id, `model.vocab of ${JSON.stringify(piece.slice(0, 40))}`));
  }
  return found;
}

const BYTES = new TextEncoder();

/** Ids of the bytes of a letter (`<0xE2>`), where the vocabulary has them all. */
export function byteIds(letter: string, ids: ReadonlyMap<string, number>): number[] | undefined {
  const found: number[] = [];
  for (const byte of BYTES.encode(letter)) {
    const id = ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
    if (id === undefined) return undefined;
    found.push(id);
  }
  return found;
}

/**
 * Byte-pair encoding (Sennrich, Haddow and Birch, 2016): of all neighbours in a word, those whose merge was learnt first are
 * merged, until none can be.
 */
export function createBpe(model: Fields): Encode {
  const ids = vocabularyOf(model.vocab);
  const prefix = textOf(model.continuing_subword_prefix ?? '', 'model.continuing_subword_prefix');
  const suffix = textOf(model.end_of_word_suffix ?? '', 'model.end_of_word_suffix');
  const merges = mergesOf(model.merges, ids, prefix);
  const unknown = typeof model.unk_token === 'string' ? ids.get(model.unk_token) : undefined;

  const lettersOf = (word: string): number[] => {
    const letters = [...word];
    const found: number[] = [];
    for (const [at, letter] of letters.entries()) {
      const piece = `${at > 0 ? prefix : ''}${letter}${at === letters.length - 1 ? suffix : ''}`;
      const id = ids.get(piece);
      const bytes = id === undefined && model.byte_fallback === true ? byteIds(letter, ids) : undefined;
      if (id !== undefined) found.push(id);
      else if (bytes) found.push(...bytes);
      // What is not known vanishes where there is nothing to stand for it.
      else if (unknown !== undefined && !(model.fuse_unk === true && found.at(-1) === unknown))
        found.push(unknown);
    }
    return found;
  };

  return (word) => {
    const whole = model.ignore_merges === true ? ids.get(word) : undefined;
    return whole === undefined ? mergeAll(lettersOf(word), merges) : [whole];
  };
}

interface Merge {
  /** The one that was learnt first has the lowest. */
  readonly rank: number;
  readonly id: number;
}

/** By both ids: `left × 2^26 + right`. */
type Merges = ReadonlyMap<number, Merge>;

const MOST_PIECES = 2 ** 26;
const pairOf = (left: number, right: number): number => left * MOST_PIECES + right;

/** Merges are texts `left right`, or pairs of texts. */
function mergesOf(value: Json | undefined, ids: ReadonlyMap<string, number>, prefix: string): Merges {
  const merges = new Map<number, Merge>();
  for (const [rank, each] of listOf(value, 'model.merges').entries()) {
    const [left, right, ...more] = typeof each === 'string' ? each.split(' ') : listOf(each, 'a merge');
    const [one, other] = [textOf(left, 'a merge'), textOf(right, 'a merge')];
    const [a, b, id] = [ids.get(one), ids.get(other), ids.get(one + other.slice(prefix.length))];
    if (more.length > 0 || a === undefined || b === undefined || id === undefined) {
      throw unusable(`its merge ${rank + 1} is of pieces that are not in its vocabulary`);
    }
    if (Math.max(a, b) >= MOST_PIECES) throw unusable(`it has ids beyond ${MOST_PIECES}`);
    if (!merges.has(pairOf(a, b))) merges.set(pairOf(a, b), { rank, id });
  }
  return merges;
}

interface Candidate {
  readonly rank: number;
  readonly at: number;
  readonly left: number;
  readonly right: number;
  readonly id: number;
}

/** Merges by rank and then from the left, with a heap of what can be merged: a long word takes n log n steps, not n². */
function mergeAll(ids: number[], merges: Merges): readonly number[] {
  if (ids.length < 2) return ids;
  const next = Int32Array.from(ids, (_, at) => (at + 1 < ids.length ? at + 1 : -1));
  const before = Int32Array.from(ids, (_, at) => at - 1);
  const heap: Candidate[] = [];
  const offer = (at: number): void => {
    const right = at < 0 ? -1 : next[at]!;
    if (right < 0) return;
    const merge = merges.get(pairOf(ids[at]!, ids[right]!));
    if (merge) push(heap, { ...merge, at, left: ids[at]!, right: ids[right]! });
  };
  for (let at = 0; at < ids.length - 1; at++) offer(at);
  for (let found = pop(heap); found; found = pop(heap)) {
    const { at, left, right, id } = found;
    const other = next[at]!;
    // One of the two has been merged since.
    if (ids[at] !== left || other < 0 || ids[other] !== right) continue;
    ids[at] = id;
    ids[other] = -1;
    next[at] = next[other]!;
    if (next[at]! >= 0) before[next[at]!] = at;
    offer(before[at]!);
    offer(at);
  }
  return ids.filter((id) => id >= 0);
}

const comesFirst = (one: Candidate, other: Candidate): boolean =>
  one.rank < other.rank || (one.rank === other.rank && one.at < other.at);

function push(heap: Candidate[], candidate: Candidate): void {
  let place = heap.push(candidate) - 1;
  for (
    let parent = (place - 1) >> 1;
    place > 0 && comesFirst(candidate, heap[parent]!);
    parent = (place - 1) >> 1
  ) {
    heap[place] = heap[parent]!;
    place = parent;
  }
  heap[place] = candidate;
}

function pop(heap: Candidate[]): Candidate | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (heap.length === 0 || !last) return first;
  let place = 0;
  for (let child = 1; child < heap.length; child = 2 * place + 1) {
    if (child + 1 < heap.length && comesFirst(heap[child + 1]!, heap[child]!)) child++;
    if (!comesFirst(heap[child]!, last)) break;
    heap[place] = heap[child]!;
    place = child;
  }
  heap[place] = last;
  return first;
}
