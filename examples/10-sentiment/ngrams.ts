/** How a text is counted, in training and when the model is asked: words and pairs of words, hashed into 1,024 columns. */
export const NGRAMS: { readonly size: number; readonly words: readonly [number, number] } = {
  size: 1024,
  words: [1, 2],
};
