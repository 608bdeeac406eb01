import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createTokenizer } from '../../src/models/inputs/tokenizer/tokenizer.ts';
import { findPython, runPython } from '../support/python.ts';

const python = findPython(['tokenizers']);
const skip = 'skip' in python ? python.skip : false;

/** Trains small tokenizers of each kind on a text of its own, and writes what they make of all texts. */
const MAKE = `
import json, sys
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers, Regex
folder = sys.argv[1]
texts = json.load(open(folder + '/texts.json'))
corpus = texts * 3
def bpe(**more): return Tokenizer(models.BPE(**more))
def save(name, tokenizer, trainer):
    tokenizer.train_from_iterator(corpus, trainer)
    if callable(finish.get(name)): finish[name](tokenizer)
    tokenizer.save(folder + '/' + name + '.json')
    answers[name] = [{'ids': e.ids, 'types': e.type_ids} for e in tokenizer.encode_batch(texts)]
def roberta(t):
    t.post_processor = processors.RobertaProcessing(('</s>', t.token_to_id('</s>')), ('<s>', t.token_to_id('<s>')))
def bert(t):
    t.post_processor = processors.TemplateProcessing('[CLS] $A [SEP]', '[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1', [(x, t.token_to_id(x)) for x in ('[CLS]', '[SEP]')])
finish = {'roberta': roberta, 'bert': bert}
answers = {}
letters = pre_tokenizers.ByteLevel.alphabet()
gpt2 = bpe(); gpt2.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
save('gpt2', gpt2, trainers.BpeTrainer(vocab_size=500, initial_alphabet=letters, special_tokens=['<|endoftext|>']))
rob = bpe(); rob.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
save('roberta', rob, trainers.BpeTrainer(vocab_size=400, initial_alphabet=letters, special_tokens=['<s>', '<pad>', '</s>']))
split = bpe()
split.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"(?i:'s|'t|'re)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+|\\s+"), 'isolated'), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
save('split', split, trainers.BpeTrainer(vocab_size=450, initial_alphabet=letters))
clip = bpe(unk_token='<unk>', end_of_word_suffix='</w>')
clip.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
clip.pre_tokenizer = pre_tokenizers.Whitespace()
save('clip', clip, trainers.BpeTrainer(vocab_size=300, end_of_word_suffix='</w>', limit_alphabet=60, special_tokens=['<unk>']))
fused = bpe(unk_token='<unk>', fuse_unk=True)
fused.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
save('fused', fused, trainers.BpeTrainer(vocab_size=200, limit_alphabet=20, special_tokens=['<unk>']))
word = Tokenizer(models.WordPiece(unk_token='[UNK]'))
word.normalizer = normalizers.BertNormalizer(lowercase=True)
word.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
save('bert', word, trainers.WordPieceTrainer(vocab_size=400, limit_alphabet=80, special_tokens=['[PAD]', '[UNK]', '[CLS]', '[SEP]']))
uni = Tokenizer(models.Unigram())
uni.normalizer = normalizers.NFKC()
uni.pre_tokenizer = pre_tokenizers.Metaspace()
save('unigram', uni, trainers.UnigramTrainer(vocab_size=200, unk_token='<unk>', special_tokens=['<unk>', '<s>'], show_progress=False))
json.dump(answers, open(folder + '/answers.json', 'w'))
`;

const TEXTS = [
  'The quick brown fox jumps over the lazy dog.',
  "It's 25 o'clock, they're late; we'll see WHO'S there!",
  'Déjà vu: naïve café, façade — “quoted” … 100% of €3.50',
  '  leading and   many    spaces \t tabs\nand\r\n\nnew lines  ',
  '日本語のテキスト と English 混在。',
  'emoji 👩‍👩‍👧 🇩🇪 👍🏽 and zero\u200bwidth, nbsp\u00a0here',
  'words before <s> and </s> and <|endoftext|>, [SEP] [CLS]x',
  'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
  'ﬁne ½ ² K Å İstanbul ẞ ß ǅ',
  '',
  ' ',
  'x',
  'lower lowest newer newest wider widest low lowing newing',
  '123456789 1,234.5 a1b2c3 __init__(self) -> None: # comment',
];

interface Answer {
  readonly ids: readonly number[];
  readonly types: readonly number[];
}

test('tokenizers of every kind write texts as Hugging Face writes them', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tokenizers-'));
  try {
    writeFileSync(join(folder, 'texts.json'), JSON.stringify(TEXTS));
    runPython((python as { path: string }).path, MAKE, [folder]);
    const answers = JSON.parse(readFileSync(join(folder, 'answers.json'), 'utf8')) as {
      [name: string]: Answer[];
    };
    assert.equal(Object.keys(answers).length, 7);
    for (const [name, expected] of Object.entries(answers)) {
      const tokenizer = createTokenizer(JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')));
      for (const [at, text] of TEXTS.entries()) {
        const { ids, types } = tokenizer.encode(text, 8192);
        assert.deepEqual({ ids, types }, expected[at], `${name}: ${JSON.stringify(text)}`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
