/**
 * How the fraud model is trained. Chosen on the ten weeks from 2018-05-16 to 2018-07-18, each measured like the one of the
 * protocol: small trees and much regularisation, because a fifth of the frauds cannot be told from genuine payments (a
 * terminal whose compromise is not known yet) and are but noise to a model that would learn them by heart.
 */
export const FRAUD_TREES = {
  rounds: 150,
  learningRate: 0.05,
  maxLeaves: 8,
  lambdaL2: 10,
  subsample: 0.7,
  columnSample: 0.5,
} as const;
