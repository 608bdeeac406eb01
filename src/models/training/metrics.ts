/**
 * Measures of answers against the truth. Ties count as scikit-learn counts them: rows of equal score are one step of
 * the curve.
 */

/** Walks down the scores; calls back after each group of equal scores with the hits and misses so far. */
function descend(
  label: ArrayLike<number>,
  scores: ArrayLike<number>,
  step: (hits: number, misses: number) => void,
): void {
  const order = Uint32Array.from({ length: scores.length }, (_, row) => row);
  order.sort((one, other) => scores[other]! - scores[one]!);
  let hits = 0;
  let misses = 0;
  for (let place = 0; place < order.length; place++) {
    const row = order[place]!;
    if (label[row] === 1) hits++;
    else misses++;
    if (place + 1 === order.length || scores[order[place + 1]!] !== scores[row]) step(hits, misses);
  }
}

/** Area under the receiver operating characteristic; NaN unless both classes are there. */
export function auc(label: ArrayLike<number>, scores: ArrayLike<number>): number {
  let area = 0;
  let [hitsBefore, missesBefore] = [0, 0];
  descend(label, scores, (hits, misses) => {
    area += ((misses - missesBefore) * (hits + hitsBefore)) / 2;
    [hitsBefore, missesBefore] = [hits, misses];
  });
  return area / (hitsBefore * missesBefore);
}

/** Mean of the precision over the recall it gains, without interpolation; NaN without a row of class 1. */
export function averagePrecision(label: ArrayLike<number>, scores: ArrayLike<number>): number {
  let sum = 0;
  let hitsBefore = 0;
  descend(label, scores, (hits, misses) => {
    sum += ((hits - hitsBefore) * hits) / (hits + misses);
    hitsBefore = hits;
  });
  return sum / hitsBefore;
}

/** Mean negative logarithm of the probability given to the class that it was; `[row × classes + class]`. */
export function logLoss(label: ArrayLike<number>, probabilities: ArrayLike<number>, classes: number): number {
  let sum = 0;
  for (let row = 0; row < label.length; row++) {
    sum -= Math.log(Math.max(1e-15, probabilities[row * classes + label[row]!]!));
  }
  return sum / label.length;
}

/** Part of the rows whose class had the largest probability. */
export function accuracy(
  label: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  classes: number,
): number {
  let right = 0;
  for (let row = 0; row < label.length; row++) {
    let best = 0;
    for (let each = 1; each < classes; each++) {
      if (probabilities[row * classes + each]! > probabilities[row * classes + best]!) best = each;
    }
    if (best === label[row]) right++;
  }
  return right / label.length;
}

/** Root of the mean squared error. */
export function rootMeanSquaredError(label: ArrayLike<number>, answers: ArrayLike<number>): number {
  let sum = 0;
  for (let row = 0; row < label.length; row++) sum += (answers[row]! - label[row]!) ** 2;
  return Math.sqrt(sum / label.length);
}

/** Part of the label's variance that the answers explain; NaN for a label that never varies. */
export function rSquared(label: ArrayLike<number>, answers: ArrayLike<number>): number {
  let mean = 0;
  for (let row = 0; row < label.length; row++) mean += label[row]! / label.length;
  let spread = 0;
  for (let row = 0; row < label.length; row++) spread += (label[row]! - mean) ** 2;
  return 1 - (rootMeanSquaredError(label, answers) ** 2 * label.length) / spread;
}
