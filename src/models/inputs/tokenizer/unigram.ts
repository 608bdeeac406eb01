import { byteIds, type Encode } from './bpe.ts';
import { type Fields, listOf, textOf, unusable, wholeOf } from './json.ts';

/** How much less likely than the least likely piece a letter is that no piece has. */
const UNKNOWN_PENALTY = 10;

/** The most likely way to write a word in pieces (Kudo, 2018), by Viterbi's algorithm. */
export function createUnigram(model: Fields): Encode {
  const pieces = listOf(model.vocab, 'model.vocab').map((each) => {
    const [piece, score] = listOf(each, 'a piece of model.vocab');
    if (typeof score !== 'number') throw unusable('a piece of its vocabulary has no score');
    return { piece: textOf(piece, 'a piece of model.vocab'), score };
  });
  const ids = new Map(pieces.map(({ piece }, id) => [piece, id]));
  const longest = pieces.reduce((most, { piece }) => Math.max(most, [...piece].length), 1);
  const lowest = pieces.reduce((least, { score }) => Math.min(least, score), 0);
  const unknown =
    model.unk_id === null || model.unk_id === undefined ? undefined : wholeOf(model.unk_id, 'model.unk_id');

  return (word) => {
    const letters = [...word];
    const best = new Float64Array(letters.length + 1).fill(Number.NEGATIVE_INFINITY);
    const from = new Int32Array(letters.length + 1);
    const chosen = new Int32Array(letters.length + 1).fill(-1);
    best[0] = 0;
    const offer = (start: number, end: number, id: number, score: number): void => {
      if (best[start]! + score <= best[end]!) return;
      best[end] = best[start]! + score;
      from[end] = start;
      chosen[end] = id;
    };
    for (let start = 0; start < letters.length; start++) {
      let piece = '';
      let single = false;
      for (let end = start + 1; end <= letters.length && end - start <= longest; end++) {
        piece += letters[end - 1]!;
        const id = ids.get(piece);
        if (id === undefined) continue;
        offer(start, end, id, pieces[id]!.score);
        single ||= end === start + 1;
      }
      if (!single) offer(start, start + 1, -1, lowest - UNKNOWN_PENALTY);
    }
    const found: number[][] = [];
    let after = false;
    for (let end = letters.length; end > 0; end = from[end]!) {
      const isUnknown = chosen[end]! < 0;
      const bytes = isUnknown && model.byte_fallback === true ? byteIds(letters[end - 1]!, ids) : undefined;
      if (bytes) found.push(bytes);
      else if (!isUnknown) found.push([chosen[end]!]);
      // Letters that are not known and follow each other are one unknown piece.
      else if (!after && unknown !== undefined) found.push([unknown]);
      after = isUnknown && !bytes;
    }
    return found.reverse().flat();
  };
}
