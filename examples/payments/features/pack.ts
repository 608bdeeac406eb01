/**
 * State as a short text: whole numbers as LEB128 (small ones take a byte), measures as doubles, all of it in base64. It is
 * written for every payment, so its length is what the state costs on disk.
 */
export class Packer {
  private bytes = Buffer.alloc(1024);
  private at = 0;

  /** A whole number of at most 53 bits, of either sign. */
  whole(value: number): void {
    this.room(10);
    // Zigzag: 0, -1, 1, -2 … become 0, 1, 2, 3 …
    let rest = value < 0 ? -2 * value - 1 : 2 * value;
    // Bits go with 32 of them only; nearly all are that small.
    if (rest < WHOLE_BITS) {
      for (; rest >= 128; rest >>>= 7) this.bytes[this.at++] = (rest & 127) | 128;
      this.bytes[this.at++] = rest;
      return;
    }
    while (rest >= 128) {
      this.bytes[this.at++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.at++] = rest;
  }

  double(value: number): void {
    this.room(8);
    this.at = this.bytes.writeDoubleLE(value, this.at);
  }

  /** The text so far; the packer begins again. */
  text(): string {
    const text = this.bytes.toString('base64', 0, this.at);
    this.at = 0;
    return text;
  }

  private room(bytes: number): void {
    if (this.at + bytes > this.bytes.length) {
      this.bytes = Buffer.concat([this.bytes], this.bytes.length * 2);
    }
  }
}

const WHOLE_BITS = 2 ** 31;

/** Reads what a `Packer` wrote, in the same order. */
export class Unpacker {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(text: string) {
    this.bytes = Buffer.from(text, 'base64');
  }

  whole(): number {
    const { bytes } = this;
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = bytes[this.at++]!;
      value |= (byte & 127) << shift;
      if (byte < 128) return value & 1 ? -((value + 1) / 2) : value >>> 1;
    }
    for (let scale = 2 ** 28; ; scale *= 128) {
      const byte = bytes[this.at++]!;
      value += (byte % 128) * scale;
      if (byte < 128) break;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  double(): number {
    this.at += 8;
    return this.bytes.readDoubleLE(this.at - 8);
  }
}
