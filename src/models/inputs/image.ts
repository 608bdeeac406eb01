import { type ImagePreprocessing, MillraceError } from '../../kernel/index.ts';

/** Pixels of a picture, four bytes each: red, green, blue, alpha. */
interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Larger pictures are refused by their header, before anything of them is decoded. */
export const MOST_PIXELS = 32 * 1024 * 1024;
const MOST_DECODER_MB = 512;

/** Width, height and kind as the header says. Throws INVALID_INPUT for what is neither JPEG nor PNG. */
export function imageHeader(bytes: Uint8Array): { kind: 'jpeg' | 'png'; width: number; height: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= 24 && view.getUint32(0) === 0x89504e47 && view.getUint32(12) === 0x49484452) {
    return { kind: 'png', width: view.getUint32(16), height: view.getUint32(20) };
  }
  if (bytes.length < 4 || view.getUint16(0) !== 0xffd8) throw refuse('is neither JPEG nor PNG');
  // Segments until the start of frame (ITU T.81, B.2.2): marker, length, precision, height, width.
  for (let at = 2; at + 9 < bytes.length; ) {
    if (bytes[at] !== 0xff) throw refuse('is a damaged JPEG');
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++;
      continue;
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { kind: 'jpeg', height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
    const isAlone = marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
    at += isAlone ? 2 : 2 + view.getUint16(at + 2);
  }
  throw refuse('is a JPEG without a frame');
}

function refuse(message: string): MillraceError {
  return new MillraceError('INVALID_INPUT', message);
}

async function decode(bytes: Uint8Array): Promise<Pixels> {
  const { kind, width, height } = imageHeader(bytes);
  if (width === 0 || height === 0) throw refuse('has no pixels');
  if (width * height > MOST_PIXELS) {
    throw refuse(`has ${width} × ${height} pixels; at most ${MOST_PIXELS / 1024 ** 2} million are taken`);
  }
  try {
    if (kind === 'png') {
      const { PNG } = await import('pngjs');
      return PNG.sync.read(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    }
    const { decode: decodeJpeg } = await import('jpeg-js');
    const options = {
      useTArray: true,
      maxResolutionInMP: MOST_PIXELS / 1e6 + 1,
      maxMemoryUsageInMB: MOST_DECODER_MB,
    };
    return decodeJpeg(bytes, options as Parameters<typeof decodeJpeg>[1] & { useTArray: true });
  } catch (error) {
    throw refuse(`cannot be decoded: ${error instanceof Error ? error.message : String(error)}`);
  }
}

export interface ImageJob {
  readonly bytes: Uint8Array;
  readonly to: ImagePreprocessing;
}

/** Task of a platform worker: the picture as the model takes it, one number a channel and pixel. */
export async function imageToTensor({ bytes, to }: ImageJob): Promise<Float32Array> {
  return normalised(await decode(bytes), to);
}

/** Bilinear with the centres of pixels aligned, as `align_corners=False` elsewhere. */
function normalised(from: Pixels, to: ImagePreprocessing): Float32Array {
  const { width, height, channels, layout } = to;
  const out = new Float32Array(width * height * channels);
  const frame = frameOf(from, to);
  const [step, pixelStep] = layout === 'nchw' ? [width * height, 1] : [1, channels];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const rgb = sample(
        from,
        frame.left + (x + 0.5) * frame.scaleX - 0.5,
        frame.top + (y + 0.5) * frame.scaleY - 0.5,
      );
      const at = (y * width + x) * pixelStep;
      for (let channel = 0; channel < channels; channel++) {
        // Grey as ITU-R BT.601 weighs it.
        const value = channels === 1 ? 0.299 * rgb[0]! + 0.587 * rgb[1]! + 0.114 * rgb[2]! : rgb[channel]!;
        const mean = to.mean[channel] ?? 0;
        out[at + channel * step] = (value * to.scale - mean) / (to.std[channel] ?? 1);
      }
    }
  }
  return out;
}

interface Frame {
  readonly left: number;
  readonly top: number;
  readonly scaleX: number;
  readonly scaleY: number;
}

/** The part of the picture that is taken: all of it, or the middle in the wanted proportions. */
function frameOf(from: Pixels, { width, height, fit }: ImagePreprocessing): Frame {
  const scaleX = from.width / width;
  const scaleY = from.height / height;
  if (fit === 'fill') return { left: 0, top: 0, scaleX, scaleY };
  const scale = Math.min(scaleX, scaleY);
  return {
    left: (from.width - scale * width) / 2,
    top: (from.height - scale * height) / 2,
    scaleX: scale,
    scaleY: scale,
  };
}

const SAMPLE = new Float64Array(3);

function sample({ width, height, data }: Pixels, x: number, y: number): Float64Array {
  const left = Math.min(Math.max(Math.floor(x), 0), width - 1);
  const top = Math.min(Math.max(Math.floor(y), 0), height - 1);
  const right = Math.min(left + 1, width - 1);
  const bottom = Math.min(top + 1, height - 1);
  const shareX = Math.min(Math.max(x - left, 0), 1);
  const shareY = Math.min(Math.max(y - top, 0), 1);
  for (let channel = 0; channel < 3; channel++) {
    const above =
      data[(top * width + left) * 4 + channel]! * (1 - shareX) +
      data[(top * width + right) * 4 + channel]! * shareX;
    const below =
      data[(bottom * width + left) * 4 + channel]! * (1 - shareX) +
      data[(bottom * width + right) * 4 + channel]! * shareX;
    SAMPLE[channel] = above * (1 - shareY) + below * shareY;
  }
  return SAMPLE;
}
