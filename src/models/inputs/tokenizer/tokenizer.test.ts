import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isMillraceError, type Json } from '../../../kernel/index.ts';
import { identityModel, serving, testModels } from '../../models.support.ts';
import { createTokenizer } from './tokenizer.ts';

const idsBy = (pieces: readonly string[]): { [piece: string]: number } =>
  Object.fromEntries(pieces.map((piece, id) => [piece, id]));

/** As RoBERTa's, of few pieces: Ġ stands for the space. */
const BYTES = {
  version: '1.0',
  added_tokens: [
    { id: 0, content: '<s>', special: true },
    { id: 1, content: '<pad>', special: true },
    { id: 2, content: '</s>', special: true },
    { id: 3, content: '<mask>', special: true, lstrip: true },
  ],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  post_processor: { type: 'RobertaProcessing', sep: ['</s>', 2], cls: ['<s>', 0] },
  model: {
    type: 'BPE',
    vocab: idsBy([
      ...['<s>', '<pad>', '</s>', '<mask>', 'l', 'o', 'w', 'e', 'r', 'Ġ', 'Ã', '©', '!'],
      ...['lo', 'low', 'er', 'Ġlow', 'Ġl', 'Ã©', 'we'],
    ]),
    // `er` was learnt before `we`: "lower" is low, er and never lo, we, r.
    merges: ['l o', 'lo w', 'e r', ['Ã', '©'], 'w e', 'Ġ low'],
  },
} as const;

const WORDS = {
  normalizer: { type: 'BertNormalizer', lowercase: true },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '[CLS]', type_id: 0 } }, { Sequence: { id: 'A', type_id: 1 } }],
    special_tokens: { '[CLS]': { id: '[CLS]', ids: [1] } },
  },
  model: { type: 'WordPiece', unk_token: '[UNK]', vocab: idsBy(['[UNK]', '[CLS]', 'cafe', '##s', '!']) },
} as const;

/** `▁ab` is likelier whole than as its letters, `ba` is not. */
const LIKELY = {
  pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
  model: {
    type: 'Unigram',
    unk_id: 0,
    vocab: [
      ['<unk>', 0],
      ['▁', -2],
      ['a', -2],
      ['b', -2],
      ['▁ab', -3],
      ['ba', -9],
    ],
  },
} as const;

const encode = (tokenizer: unknown, text: string, length = 99) =>
  createTokenizer(tokenizer as Json).encode(text, length);

describe('a tokenizer', () => {
  it('of byte pairs merges what was learnt first, and knows every byte', () => {
    assert.deepEqual(encode(BYTES, 'lower low!').ids, [0, 14, 15, 16, 12, 2]);
    assert.deepEqual(encode(BYTES, 'é').ids, [0, 18, 2]);
    assert.deepEqual(encode(BYTES, 'we').ids, [0, 19, 2]);
    assert.deepEqual(encode(BYTES, '').ids, [0, 2]);
  });

  it('finds added tokens first, and cuts long texts inside the tokens around them', () => {
    assert.deepEqual(encode(BYTES, 'low  <mask> low').ids, [0, 14, 3, 16, 2]);
    assert.deepEqual(encode(BYTES, 'low</s>low').ids, [0, 14, 2, 14, 2]);
    assert.deepEqual(encode(BYTES, 'low low low low', 4).ids, [0, 14, 16, 2]);
  });

  it('of word pieces and of likely pieces are read too', () => {
    assert.deepEqual(encode(WORDS, 'Cafés!  CAFÉ x'), {
      ids: [1, 2, 3, 4, 2, 0],
      types: [0, 1, 1, 1, 1, 1],
    });
    assert.deepEqual(encode(LIKELY, 'ab ba').ids, [4, 1, 3, 2]);
    assert.deepEqual(encode(LIKELY, 'aéü b').ids, [1, 2, 0, 1, 3]);
  });

  it('takes a word of a hundred thousand letters in its stride', () => {
    const { ids } = encode(BYTES, 'low'.repeat(33_334), 8192);
    assert.equal(ids.length, 8192);
    assert.ok(ids.slice(1, -1).every((id) => id === 14));
  });

  it('is refused with what is wrong where it is none, or needs what is not there', () => {
    const model = BYTES.model;
    const cases: readonly (readonly [unknown, RegExp])[] = [
      [7, /it is no object/],
      [{}, /model is no object/],
      [{ model: { type: 'Magic' } }, /the type "Magic"; there is BPE/],
      [{ model: { ...model, merges: ['l x'] } }, /merge 1 is of pieces that are not in its vocabulary/],
      [{ model: { ...model, vocab: { l: -1 } } }, /model\.vocab of "l" is no whole number/],
      [{ model, normalizer: { type: 'Precompiled' } }, /no normalizer 'Precompiled' here; there is NFC/],
      [
        { model, pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } },
        /no regular/,
      ],
      [{ model, post_processor: { type: 'Rings' } }, /no post_processor 'Rings'/],
      [{ model, added_tokens: [{ id: 1, content: 'a', single_word: true }] }, /of whole words only/],
    ];
    for (const [json, expected] of cases) {
      assert.throws(
        () => createTokenizer(json as Json),
        (error: Error) => isMillraceError(error, 'INVALID_INPUT') && expected.test(error.message),
        JSON.stringify(json),
      );
    }
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(BYTES)), fc.string(), (part, name, text) => {
        try {
          createTokenizer({ ...BYTES, [name]: part } as Json).encode(text, 16);
        } catch (error) {
          assert.ok(isMillraceError(error, 'INVALID_INPUT'), String((error as Error).stack));
        }
      }),
    );
  });

  it('that is declared with a model makes its inputs, and is refused before the model is registered', async () => {
    await using under = await testModels();
    const declared = { kind: 'tokenizer', from: 'text', length: 6 } as const;
    const register = (name: string, part: 'ids' | 'mask' | 'types', tokenizer: unknown) =>
      under.models.register(name, {
        bytes: identityModel('int64', ['n', 6]),
        serving: {
          ...serving,
          preprocess: { x: { ...declared, part, tokenizer: JSON.stringify(tokenizer) } },
        },
        by: 'test',
      });
    for (const [name, part, tokenizer, expected] of [
      ['a', 'ids', BYTES, [0, 14, 12, 2, 1, 1]],
      ['b', 'mask', BYTES, [1, 1, 1, 1, 0, 0]],
      ['c', 'types', WORDS, [0, 1, 1, 0, 0, 0]],
    ] as const) {
      await register(name, part, tokenizer);
      const { predictions } = await under.models.predict(name, [{ text: 'low!' }, { text: 'low!' }]);
      assert.deepEqual(predictions, [{ y: [...expected] }, { y: [...expected] }]);
    }
    await assert.rejects(under.models.predict('a', [{ text: 7 }]), /text must be text/);
    await assert.rejects(
      register('d', 'ids', { model: 1 }),
      /The tokenizer cannot be used: model is no object/,
    );
    assert.equal(under.models.registry.find('d'), undefined);
  });
});
