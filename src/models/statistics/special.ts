/** Lanczos' approximation with g = 7 and nine terms (Godfrey's coefficients); relative error below 1e-13 for x > 0. */
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** ln Γ(x) for x > 0. */
export function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  let sum = LANCZOS[0]!;
  for (let term = 1; term < LANCZOS.length; term++) sum += LANCZOS[term]! / (x - 1 + term);
  const shifted = x + 6.5;
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(shifted) - shifted + Math.log(sum);
}

const MOST_TERMS = 10_000;

/** The regularised upper incomplete gamma function Q(a, x): a series below a + 1 (Abramowitz and Stegun 6.5.29), a continued fraction above (6.5.31, by Lentz's method). */
function upperGamma(a: number, x: number): number {
  if (x <= 0) return 1;
  const front = Math.exp(a * Math.log(x) - x - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < MOST_TERMS && term > sum * 1e-16; n++) sum += term *= x / (a + n);
    return Math.max(0, 1 - front * sum);
  }
  let b = x + 1 - a;
  let c = 1e300;
  let d = 1 / b;
  let fraction = d;
  for (let n = 1; n < MOST_TERMS; n++) {
    const numerator = n * (a - n);
    b += 2;
    d = 1 / (b + numerator * d || 1e-300);
    c = b + numerator / c || 1e-300;
    const step = c * d;
    fraction *= step;
    if (Math.abs(step - 1) < 1e-15) break;
  }
  return Math.min(1, front * fraction);
}

/** P(X ≥ x) for X distributed as chi-square with `degrees` degrees of freedom. */
export function chiSquareTail(x: number, degrees: number): number {
  return upperGamma(degrees / 2, x / 2);
}

/** P(Z ≥ z) for a standard normal Z. */
export function normalTail(z: number): number {
  const half = upperGamma(0.5, (z * z) / 2) / 2;
  return z >= 0 ? half : 1 - half;
}

/** The z with P(Z ≥ z) = `probability`, for 0 < probability < 1, by bisection: called a few times per decision. */
export function normalUpperQuantile(probability: number): number {
  let [low, high] = [-40, 40];
  for (let step = 0; step < 100 && high - low > 1e-12; step++) {
    const middle = (low + high) / 2;
    if (normalTail(middle) > probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function logChoose(n: number, k: number): number {
  return logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);
}

/**
 * P(X ≥ atLeast) where X counts the marked among `drawn` taken without replacement from `total`, of which `marked` are marked
 * (one side of Fisher's exact test).
 */
export function hypergeometricTail(atLeast: number, drawn: number, marked: number, total: number): number {
  const lowest = Math.max(0, drawn + marked - total);
  const highest = Math.min(drawn, marked);
  if (atLeast <= lowest) return 1;
  if (atLeast > highest) return 0;
  const logFirst =
    logChoose(marked, atLeast) + logChoose(total - marked, drawn - atLeast) - logChoose(total, drawn);
  let term = 1;
  let sum = 1;
  for (let k = atLeast; k < highest; k++) {
    term *= ((marked - k) * (drawn - k)) / ((k + 1) * (total - marked - drawn + k + 1));
    sum += term;
    if (term < sum * 1e-16) break;
  }
  return Math.min(1, Math.exp(logFirst) * sum);
}
