import { seededRandom } from '../../kernel/index.ts';
import type { Column, Dataset } from './dataset.ts';

const WORDS = {
  good: ['fine', 'lovely', 'quick', 'warm', 'again', 'happy'],
  bad: ['broken', 'late', 'cold', 'never', 'refund', 'sad'],
  plain: ['the', 'parcel', 'came', 'with', 'a', 'box', 'today', 'and', 'it', 'was'],
};

/**
 * Rows of three numbers (one with gaps) and a category, and a label that depends on them: two classes, three, or a number. Or
 * texts with happy and sad words among plain ones.
 */
export function madeUpRows(label: 'classes' | 'three' | 'number' | 'texts', rows: number, seed = 1): Dataset {
  const random = seededRandom(seed);
  if (label === 'texts') return madeUpTexts(rows, seed);
  const numbers = [0, 1, 2].map((place): Column => {
    const values = Float32Array.from({ length: rows }, () =>
      place === 2 && random.float() < 0.1 ? Number.NaN : random.float() * 4 - 2,
    );
    return { name: `x${place}`, kind: 'number', values };
  });
  const codes = Int32Array.from({ length: rows }, () => random.integer(4) - 1);
  const columns: Column[] = [
    ...numbers,
    { name: 'kind', kind: 'category', values: codes, categories: ['a', 'b', 'c'] },
  ];
  const score = (row: number): number =>
    2 * numbers[0]!.values[row]! - numbers[1]!.values[row]! + [0, 1, -2, 0.5][codes[row]! + 1]!;
  const made = Float64Array.from({ length: rows }, (_, row) => score(row) + 0.2 * random.float());
  if (label === 'number') return { rows, columns, label: made };
  const cuts = label === 'three' ? [-1.5, 1.5] : [0];
  return {
    rows,
    columns,
    label: made.map((value) => cuts.filter((cut) => value > cut).length),
    classes: ['low', ...(label === 'three' ? ['middle'] : []), 'high'],
  };
}

function madeUpTexts(rows: number, seed: number): Dataset {
  const random = seededRandom(seed);
  const pick = (words: readonly string[]): string => words[random.integer(words.length)]!;
  const label = new Float64Array(rows);
  const texts = Array.from({ length: rows }, (_, row) => {
    label[row] = random.integer(2);
    const words = Array.from({ length: 8 }, () => pick(WORDS.plain));
    for (let each = 0; each < 2; each++)
      words[random.integer(8)] = pick(label[row] === 1 ? WORDS.good : WORDS.bad);
    return words.join(' ');
  });
  return { rows, columns: [], texts, label, classes: ['bad', 'good'] };
}
