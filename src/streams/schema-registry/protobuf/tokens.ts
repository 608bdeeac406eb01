import { SchemaError } from '../types.ts';

/** Names and numbers, texts in quotes, single marks; comments and white space between them are passed over. */
const TOKEN =
  /\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/|([A-Za-z_][\w]*|-?\.?\d[\w.+-]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[{}[\]()<>=;,.:/+-])/gy;

/** The tokens of a .proto file, read one after the other. Throws SchemaError. */
export class Tokens {
  readonly #tokens: string[] = [];
  #at = 0;

  constructor(text: string) {
    let at = 0;
    while (at < text.length) {
      TOKEN.lastIndex = at;
      const match = TOKEN.exec(text);
      if (!match) {
        const line = text.slice(0, at).split('\n').length;
        throw new SchemaError(
          `line ${line} has something that is no Protobuf: ${JSON.stringify(text.slice(at, at + 20))}`,
        );
      }
      if (match[1] !== undefined) this.#tokens.push(match[1]);
      at += match[0].length;
    }
  }

  /** The text with one blank between tokens: the same for files that differ in comments and white space alone. */
  get plain(): string {
    return this.#tokens.join(' ');
  }

  get done(): boolean {
    return this.#at >= this.#tokens.length;
  }

  peek(ahead = 0): string {
    return this.#tokens[this.#at + ahead] ?? '';
  }

  next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new SchemaError('it ends too early');
    return token;
  }

  /** Takes the token if it is next. */
  take(token: string): boolean {
    if (this.peek() !== token) return false;
    this.#at++;
    return true;
  }

  expect(token: string): void {
    const found = this.next();
    if (found !== token) throw this.unexpected(found, `'${token}'`);
  }

  name(): string {
    const found = this.next();
    if (!/^[A-Za-z_]\w*$/.test(found)) throw this.unexpected(found, 'a name');
    return found;
  }

  /** A name with dots, perhaps one in front. */
  typeName(): string {
    let name = this.take('.') ? '.' : '';
    name += this.name();
    while (this.take('.')) name += `.${this.name()}`;
    return name;
  }

  text(): string {
    let value = '';
    do {
      const found = this.next();
      if (!/^["']/.test(found)) throw this.unexpected(found, 'a text in quotes');
      value += found.slice(1, -1);
    } while (/^["']/.test(this.peek()));
    return value;
  }

  integer(): number {
    const negative = this.take('-');
    const found = this.next();
    const value = /^-?0\d+$/.test(found) ? Number.parseInt(found, 8) : Number(found);
    if (!Number.isInteger(value)) throw this.unexpected(found, 'a whole number');
    return negative ? -value : value;
  }

  /** Everything up to the token, which is taken too; what opens in between must close. */
  until(end: string): string {
    const parts: string[] = [];
    for (let depth = 0; ; ) {
      const token = this.next();
      if (depth === 0 && token === end) return parts.join(' ');
      if ('{[('.includes(token)) depth++;
      if ('}])'.includes(token)) depth--;
      if (depth < 0) throw this.unexpected(token, `'${end}'`);
      parts.push(token);
    }
  }

  unexpected(found: string, wanted: string): SchemaError {
    const before = this.#tokens.slice(Math.max(0, this.#at - 6), Math.max(0, this.#at - 1)).join(' ');
    return new SchemaError(`after '${before}' it has '${found}' where ${wanted} belongs`);
  }
}
