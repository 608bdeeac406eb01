/** Made-up reviews: enough to show how a model of texts is trained, far too few words to read real ones. */
export interface Review {
  readonly text: string;
  readonly mood: 'negative' | 'positive';
}

const THINGS = [
  'the delivery',
  'this phone',
  'their service',
  'the blanket',
  'my order',
  'the app',
  'the soup',
  'the hotel room',
];
const GOOD = [
  'great',
  'lovely',
  'fast',
  'helpful',
  'delicious',
  'reliable',
  'wonderful',
  'comfortable',
  'excellent',
];
const BAD = ['terrible', 'broken', 'slow', 'rude', 'cold', 'disappointing', 'awful', 'noisy', 'useless'];
const PRAISE = ['would buy again', 'highly recommended', 'made my day', 'worth every cent', 'thank you'];
const COMPLAINTS = [
  'want my money back',
  'never again',
  'what a waste',
  'still waiting for an answer',
  'stay away',
];
const LINKS = ['was', 'is', 'turned out to be', 'seemed'];
const STARTS = ['honestly', 'to my surprise', 'so far', 'well', 'after two weeks', ''];
const DEGREES = ['really', 'quite', 'very', ''];

/** The same seed gives the same reviews. A third of them say the opposite of a word: "not slow at all" is praise. */
export function makeReviews(count: number, seed: number): Review[] {
  let state = seed;
  const below = (bound: number): number => {
    // A linear congruential generator (the constants of Numerical Recipes); its high bits are good enough here.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 4_294_967_296) * bound);
  };
  const pick = (words: readonly string[]): string => words[below(words.length)]!;
  return Array.from({ length: count }, (): Review => {
    const positive = below(2) === 1;
    const negated = below(3) === 0;
    const word = pick(positive !== negated ? GOOD : BAD);
    const said = negated ? `not ${word} at all` : `${pick(DEGREES)} ${word}`;
    const end = below(2) === 0 ? pick(positive ? PRAISE : COMPLAINTS) : '';
    const text = [pick(STARTS), pick(THINGS), pick(LINKS), said, end].join(' ').replace(/\s+/g, ' ').trim();
    return { text, mood: positive ? 'positive' : 'negative' };
  });
}
