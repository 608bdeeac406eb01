/** Decisions by what was true: all that a share of a group is made of. */
export interface Decisions {
  truePositives: number;
  falsePositives: number;
  falseNegatives: number;
  trueNegatives: number;
}

/** Predictions whose truth is known, in bins of their scores: a few hundred numbers, whatever goes through. Plain JSON. */
export interface LabelCounts extends Decisions {
  readonly positives: number[];
  readonly negatives: number[];
  /** Of absolute, squared and fourth powers of the differences between score and truth. */
  sumAbsolute: number;
  sumSquares: number;
  sumFourths: number;
  /** Of what a probability loses by the truth, and of its square. */
  sumLogLoss: number;
  sumLogLossSquares: number;
  /** The first truth: powers are of what others differ from it by, so that large truths lose no digits. */
  origin: number | null;
  /** Of the first to the fourth power of a truth less the origin. */
  readonly truths: number[];
  /** Of the squared difference times the first and the second power of the truth less the origin. */
  readonly products: number[];
  /** Truths that are neither 0 nor 1: the model predicts a value. */
  values: number;
}

export const BINS = 100;

export const emptyDecisions = (): Decisions => ({
  truePositives: 0,
  falsePositives: 0,
  falseNegatives: 0,
  trueNegatives: 0,
});

export function emptyCounts(): LabelCounts {
  return {
    ...emptyDecisions(),
    positives: new Array<number>(BINS).fill(0),
    negatives: new Array<number>(BINS).fill(0),
    ...{ sumAbsolute: 0, sumSquares: 0, sumFourths: 0, sumLogLoss: 0, sumLogLossSquares: 0 },
    ...{ origin: null, truths: [0, 0, 0, 0], products: [0, 0], values: 0 },
  };
}

/** Scores within 0 and 1 lie in even bins; others are squeezed into them, in their order. */
function binOf(score: number): number {
  const within = score >= 0 && score <= 1 ? score : 0.5 + score / (2 * (1 + Math.abs(score)));
  return Math.min(BINS - 1, Math.max(0, Math.floor(within * BINS)));
}

export function addDecision(decisions: Decisions, decided: boolean, truth: number): void {
  if (decided) decisions[truth === 1 ? 'truePositives' : 'falsePositives']++;
  else decisions[truth === 1 ? 'falseNegatives' : 'trueNegatives']++;
}

export const isClass = (truth: number): boolean => truth === 0 || truth === 1;

/** Counts a prediction and its truth. */
export function addLabel(counts: LabelCounts, score: number, truth: number, threshold: number): void {
  addDifference(counts, score, truth);
  if (!isClass(truth)) {
    counts.values++;
    return;
  }
  const side = truth === 1 ? counts.positives : counts.negatives;
  side[binOf(score)]! += 1;
  const loss = -Math.log(Math.min(1 - 1e-15, Math.max(1e-15, truth === 1 ? score : 1 - score)));
  counts.sumLogLoss += loss;
  counts.sumLogLossSquares += loss * loss;
  addDecision(counts, score >= threshold, truth);
}

function addDifference(counts: LabelCounts, score: number, truth: number): void {
  const square = (score - truth) ** 2;
  counts.sumAbsolute += Math.abs(score - truth);
  counts.sumSquares += square;
  counts.sumFourths += square * square;
  counts.origin ??= truth;
  const from = truth - counts.origin;
  for (let power = 1; power <= 4; power++) counts.truths[power - 1]! += from ** power;
  counts.products[0]! += square * from;
  counts.products[1]! += square * from * from;
}

export function decisionsIn(counts: Decisions): number {
  return counts.truePositives + counts.falsePositives + counts.falseNegatives + counts.trueNegatives;
}

/** How many truths were counted. */
export function labelsIn(counts: LabelCounts): number {
  return decisionsIn(counts) + counts.values;
}
