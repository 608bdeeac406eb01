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

/** Reads what a `Packer` wrote, in the same order. */
export class Unpacker {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(text: string) {
    this.bytes = Buffer.from(text, 'base64');
  }

  whole(): number {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = this.bytes[this.at++]!;
      value += (byte % 128) * scale;
      if (byte < 128) break;
      scale *= 128;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  double(): number {
    this.at += 8;
    return this.bytes.readDoubleLE(this.at - 8);
  }
}
