import { features } from './ml/features.ts';
import { labels } from './ml/labels.ts';
import { linear } from './ml/linear.ts';
import { trees } from './ml/trees.ts';
import { vectors } from './ml/vectors.ts';
import type { Operator, Operators } from './operator.ts';
import { activations } from './operators/activations.ts';
import { casts } from './operators/casts.ts';
import { control } from './operators/control.ts';
import { convolutions } from './operators/convolutions.ts';
import { elementwise } from './operators/elementwise.ts';
import { gathering } from './operators/gathering.ts';
import { images } from './operators/images.ts';
import { logic } from './operators/logic.ts';
import { losses } from './operators/losses.ts';
import { matrices } from './operators/matrices.ts';
import { normalizations } from './operators/normalizations.ts';
import { optimizers } from './operators/optimizers.ts';
import { padding } from './operators/padding.ts';
import { quantization } from './operators/quantization.ts';
import { recurrences } from './operators/recurrent.ts';
import { reductions } from './operators/reductions.ts';
import { sequences } from './operators/sequences.ts';
import { shaping } from './operators/shaping.ts';
import { signals } from './operators/signals.ts';
import { texts } from './operators/texts.ts';

/** Newest version of each domain whose operators mean what they mean here. */
export const DOMAINS: { readonly [domain: string]: number } = {
  '': 26,
  'ai.onnx.ml': 5,
  'ai.onnx.preview.training': 1,
};

const TABLES: { readonly [domain: string]: readonly Operators[] } = {
  '': [
    activations,
    casts,
    control,
    convolutions,
    elementwise,
    gathering,
    images,
    logic,
    losses,
    matrices,
    normalizations,
    padding,
    quantization,
    recurrences,
    reductions,
    sequences,
    shaping,
    signals,
    texts,
  ],
  'ai.onnx.preview.training': [optimizers],
  'ai.onnx.ml': [features, labels, linear, trees, vectors],
};

/** All operators there are, by domain and name. */
export const OPERATORS: ReadonlyMap<string, ReadonlyMap<string, Operator>> = new Map(
  Object.entries(TABLES).map(([domain, tables]) => [
    domain,
    new Map(tables.flatMap((table) => Object.entries(table))),
  ]),
);

export function operatorOf(domain: string, type: string): Operator | undefined {
  return OPERATORS.get(domain)?.get(type);
}
