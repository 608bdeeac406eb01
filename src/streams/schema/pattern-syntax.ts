/**
 * The shape of a regular expression (ECMA-262, `Pattern`), as far as its running time depends on it. The engine itself
 * judges whether the text is valid; this reads only what the engine has accepted.
 */
export type Alternatives = readonly (readonly Term[])[];

export interface Term {
  readonly atom: Atom;
  readonly min: number;
  readonly max: number;
}

export type Atom =
  | { readonly kind: 'character'; readonly source: string }
  | { readonly kind: 'group'; readonly body: Alternatives }
  /** Zero wide: a look around with a body, or an anchor without. */
  | { readonly kind: 'assertion'; readonly source: string; readonly body?: Alternatives }
  | { readonly kind: 'reference' };

const QUANTIFIER = /^(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})\??/;
const GROUP = /^\((\?(?:[=!]|<[=!]|:|<[^>]*>))?/;
const ESCAPE =
  /^\\(?:u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}(?:\\u[dD][c-fC-F][0-9a-fA-F]{2})?|x[0-9a-fA-F]{2}|c[A-Za-z]|[pP]\{[^}]*\}|k<[^>]*>|[1-9]\d*|[\s\S])/;

class PatternReader {
  #rest: string;

  constructor(pattern: string) {
    this.#rest = pattern;
  }

  alternatives(): Alternatives {
    const alternatives: Term[][] = [[]];
    while (this.#rest !== '' && !this.#rest.startsWith(')')) {
      if (this.#rest.startsWith('|')) {
        this.#take(1);
        alternatives.push([]);
      } else {
        alternatives.at(-1)!.push(this.#term());
      }
    }
    return alternatives;
  }

  #take(length: number): string {
    const taken = this.#rest.slice(0, length);
    this.#rest = this.#rest.slice(length);
    return taken;
  }

  #term(): Term {
    const atom = this.#atom();
    const quantifier = QUANTIFIER.exec(this.#rest);
    if (!quantifier) return { atom, min: 1, max: 1 };
    this.#take(quantifier[0].length);
    const [, sign, from, comma, to] = quantifier;
    if (sign) return { atom, min: sign === '+' ? 1 : 0, max: sign === '?' ? 1 : Number.POSITIVE_INFINITY };
    const max = comma === undefined ? Number(from) : to === '' ? Number.POSITIVE_INFINITY : Number(to);
    return { atom, min: Number(from), max };
  }

  #atom(): Atom {
    const first = this.#rest.charAt(0);
    if (first === '(') return this.#group();
    if (first === '^' || first === '$') return { kind: 'assertion', source: this.#take(1) };
    if (first === '\\') return this.#escape();
    if (first === '[') return { kind: 'character', source: this.#characterClass() };
    return { kind: 'character', source: this.#take(String.fromCodePoint(this.#rest.codePointAt(0)!).length) };
  }

  #group(): Atom {
    const opening = GROUP.exec(this.#rest)!;
    this.#take(opening[0].length);
    const body = this.alternatives();
    this.#take(1);
    return /^\?<?[=!]/.test(opening[1] ?? '')
      ? { kind: 'assertion', source: opening[0], body }
      : { kind: 'group', body };
  }

  #escape(): Atom {
    const source = this.#take(ESCAPE.exec(this.#rest)![0].length);
    if (/^\\[bB]$/.test(source)) return { kind: 'assertion', source };
    return /^\\[1-9k]/.test(source) ? { kind: 'reference' } : { kind: 'character', source };
  }

  #characterClass(): string {
    let length = 1;
    while (length < this.#rest.length && this.#rest[length] !== ']')
      length += this.#rest[length] === '\\' ? 2 : 1;
    return this.#take(length + 1);
  }
}

export function readPattern(pattern: string): Alternatives {
  return new PatternReader(pattern).alternatives();
}
