import assert from 'node:assert/strict';
import { it } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import jpeg from 'jpeg-js';
import type { ImagePreprocessing } from '../../kernel/index.ts';
import { identityModel, serving, testModels } from '../models.support.ts';
import { countNgrams } from './hashed-ngrams.ts';
import { imageHeader } from './image.ts';
import { createWordPieces } from './wordpiece.ts';

const by = 'test';

const to: ImagePreprocessing = {
  kind: 'image',
  from: 'photo',
  width: 2,
  height: 2,
  fit: 'fill',
  channels: 3,
  layout: 'nchw',
  scale: 1 / 255,
  mean: [0, 0, 0],
  std: [1, 1, 1],
};

/** A PNG of 8-bit colours, row by row; `claimed` sizes go into its header. */
function png(
  pixels: readonly (readonly [number, number, number])[][],
  claimed?: readonly [number, number],
): Buffer {
  const chunk = (name: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const [width, height] = claimed ?? [pixels[0]!.length, pixels.length];
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const lines = Buffer.concat(pixels.map((line) => Buffer.from([0, ...line.flat()])));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

const red = [255, 0, 0] as const;
const blue = [0, 0, 255] as const;
const picture = png([
  [red, blue],
  [blue, red],
]);

async function withImages(declared: Partial<ImagePreprocessing>, dims: readonly (number | string)[]) {
  const under = await testModels();
  const preprocess = { x: { ...to, ...declared } };
  await under.models.register('eyes', {
    bytes: identityModel('float32', dims),
    serving: { ...serving, preprocess },
    by,
  });
  return {
    ...under,
    see: async (photo: unknown) => (await under.models.predict('eyes', [{ photo }])).predictions[0]!.y,
  };
}

it('a picture becomes channels of numbers, from bytes or from base64', async () => {
  await using under = await withImages({}, ['n', 3, 2, 2]);
  const expected = [
    [
      [1, 0],
      [0, 1],
    ],
    [
      [0, 0],
      [0, 0],
    ],
    [
      [0, 1],
      [1, 0],
    ],
  ];
  assert.deepEqual(await under.see(picture), expected);
  assert.deepEqual(await under.see(picture.toString('base64')), expected);
  assert.deepEqual(await under.see(`data:image/png;base64,${picture.toString('base64')}`), expected);
});

it('a picture is resized, cropped, turned grey and normalised as declared', async () => {
  const wide = png([
    [red, red, red, red, blue, blue, blue, blue],
    [red, red, red, red, blue, blue, blue, blue],
  ]);
  await using filled = await withImages({ layout: 'nhwc' }, ['n', 2, 2, 3]);
  assert.deepEqual(await filled.see(wide), [
    [
      [1, 0, 0],
      [0, 0, 1],
    ],
    [
      [1, 0, 0],
      [0, 0, 1],
    ],
  ]);
  await using grey = await withImages({ channels: 1, scale: 1, mean: [76], std: [0.5] }, ['n', 1, 2, 2]);
  const value = (await grey.see(png([[red]]))) as number[][][];
  assert.ok(Math.abs(value[0]![0]![0]! - (0.299 * 255 - 76) / 0.5) < 1e-4);
  const tall = png([[blue], [red], [red], [blue]].map(([colour]) => [colour!, colour!]));
  await using cropped = await withImages({ fit: 'cover' }, ['n', 3, 2, 2]);
  const [reds] = (await cropped.see(tall)) as number[][][];
  assert.deepEqual(
    reds,
    [
      [1, 1],
      [1, 1],
    ],
    'the middle is kept',
  );
});

it('a JPEG is decoded', async () => {
  const data = Buffer.alloc(16 * 16 * 4, 255);
  for (let at = 0; at < data.length; at += 4) data.set([200, 30, 60], at);
  const { data: bytes } = jpeg.encode({ width: 16, height: 16, data }, 95);
  await using under = await withImages({ scale: 1 }, ['n', 3, 2, 2]);
  const channels = (await under.see(bytes)) as number[][][];
  for (const [channel, wanted] of [200, 30, 60].entries()) {
    assert.ok(Math.abs(channels[channel]![0]![0]! - wanted) < 6);
  }
});

it('a bomb, a damaged picture and what is none are refused by row, before anything is decoded', async () => {
  await using under = await withImages({}, ['n', 3, 2, 2]);
  const bomb = png([[red]], [60_000, 60_000]);
  const cases: [photo: unknown, message: RegExp][] = [
    [bomb, /60000 × 60000 pixels; at most 32 million/],
    [png([[red]], [0, 5]), /no pixels/],
    [png([[red]], [3, 3]), /cannot be decoded/],
    [picture.subarray(0, 40), /cannot be decoded/],
    [Buffer.from('GIF89a, with some more bytes'), /neither JPEG nor PNG/],
    [Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0xff, 0xff, 0, 0, 0, 0, 0, 0]), /JPEG without a frame/],
    [17, /bytes of a JPEG or PNG/],
    ['', /bytes of a JPEG or PNG/],
  ];
  for (const [photo, message] of cases) {
    await assert.rejects(
      under.see(photo),
      (error: { code: string; errors: { path: string; message: string }[] }) => {
        assert.equal(error.code, 'INVALID_INPUT');
        assert.equal(error.errors[0]!.path, '/0/photo');
        assert.match(error.errors[0]!.message, message);
        return true;
      },
    );
  }
  assert.deepEqual(imageHeader(bomb), { kind: 'png', width: 60_000, height: 60_000 });
  assert.ok(await under.see(picture), 'and the next one is seen');
});

it('texts become counts of hashed n-grams, the same everywhere and for ever', async () => {
  await using under = await testModels();
  const declared = { kind: 'hashed-ngrams', from: 'text', size: 16, words: [1, 2], lowercase: true } as const;
  await under.models.register('words', {
    bytes: identityModel('float32', ['n', 16]),
    serving: { ...serving, preprocess: { x: declared } },
    by,
  });
  const ask = async (text: unknown) =>
    (await under.models.predict('words', [{ text }])).predictions[0]!.y as number[];
  const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
  assert.equal(sum(await ask('Not good, not GOOD!')), 7, 'four words and three pairs');
  assert.deepEqual(await ask('not good'), await ask('  Not... good'));
  assert.notDeepEqual(await ask('not good'), await ask('good not'));
  assert.equal(sum(await ask('')), 0);
  await assert.rejects(ask(5), { code: 'INVALID_INPUT' });
  const columns: number[] = [];
  countNgrams('millrace', { size: 2 ** 31, words: [1, 1], lowercase: true }, (column) =>
    columns.push(column),
  );
  assert.deepEqual(columns, [PINNED], 'a changed hash would make nonsense of every trained model');
});

/** The column of "millrace" among 2^31, as it always was. */
const PINNED = 205_217_027;

it("texts become BERT's tokens", async () => {
  const vocabulary = [
    '[PAD]',
    '[UNK]',
    '[CLS]',
    '[SEP]',
    'un',
    '##aff',
    '##able',
    'runn',
    '##ing',
    ',',
    'ein',
    '东',
    '!',
  ];
  const pieces = createWordPieces(vocabulary, true);
  assert.deepEqual(pieces.encode('UNaffable, running', 16), [2, 4, 5, 6, 9, 7, 8, 3]);
  assert.deepEqual(pieces.encode('东ÉIN! xyz', 16), [2, 11, 10, 12, 1, 3]);
  assert.deepEqual(pieces.encode('unaffable running', 4), [2, 4, 5, 3]);
  await using under = await testModels();
  const declared = { kind: 'wordpiece', from: 'text', vocabulary, length: 6, lowercase: true } as const;
  for (const [part, expected] of [
    ['ids', [2, 4, 5, 6, 3, 0]],
    ['mask', [1, 1, 1, 1, 1, 0]],
    ['types', [0, 0, 0, 0, 0, 0]],
  ] as const) {
    const preprocess = { x: { ...declared, part } };
    await under.models.register(part, {
      bytes: identityModel('int64', ['n', 6]),
      serving: { ...serving, preprocess },
      by,
    });
    assert.deepEqual((await under.models.predict(part, [{ text: 'unaffable' }])).predictions, [
      { y: [...expected] },
    ]);
  }
});
