import { type Alternatives, type Atom, readPattern, type Term } from './pattern-syntax.ts';

/**
 * Patterns run on the engine's backtracking matcher, so what they may cost is settled before they run.
 *
 * A choice (repeat or go on, this alternative or that) is settled when the next character decides it. A repeated group
 * with an unsettled choice inside can take exponential time: it is refused. Every other unsettled repetition
 * multiplies the time by the text's length at most once, which bounds the length of the texts that are tried.
 */
export interface Pattern {
  /** False for texts longer than `maxLength`, too. */
  test(text: string): boolean;
  toString(): string;
}

const STEPS_AT_MOST = 1e8;
/** Repetitions beyond this count as many. */
const FEW = 8;
const LENGTH_AT_MOST = 2000;
/** Stands for everything outside ASCII: two sets that both reach there are taken to overlap. */
const BEYOND = 128;

type CharacterSet = ReadonlySet<number>;
const NOTHING: CharacterSet = new Set();

export function patternProblem(source: string): string | undefined {
  if (source.length > LENGTH_AT_MOST) return `is longer than ${LENGTH_AT_MOST} characters`;
  try {
    compilePattern(source);
    return undefined;
  } catch (error) {
    return error instanceof PatternError ? error.message : `is not a regular expression`;
  }
}

class PatternError extends Error {}

/** Patterns are meant for Unicode; those written before that, with needless escapes, are taken as they were. */
function engineOf(source: string): RegExp {
  try {
    return new RegExp(source, 'u');
  } catch {
    return new RegExp(source);
  }
}

/** Throws for what is no regular expression and for what could run without end. */
export function compilePattern(source: string): Pattern {
  const engine = engineOf(source);
  const { maxLength } = analyse(source);
  return {
    test: (text) => text.length <= maxLength && engine.test(text),
    toString: () => `/${source}/`,
  };
}

/** How long a text may be so that matching takes at most some hundred million steps. */
export function analyse(source: string): { readonly maxLength: number } {
  const body = readPattern(source);
  const analysis = new Analysis(engineOf(source).flags);
  const degree = 1 + analysis.unsettled(body, NOTHING) + (isAnchored(body) || !analysis.repeats ? 0 : 1);
  return { maxLength: degree === 1 ? Number.POSITIVE_INFINITY : Math.floor(STEPS_AT_MOST ** (1 / degree)) };
}

function isAnchored(body: Alternatives): boolean {
  return body.every(([first]) => first?.atom.kind === 'assertion' && first.atom.source === '^');
}

const overlaps = (left: CharacterSet, right: CharacterSet): boolean => !left.isDisjointFrom(right);

class Analysis {
  repeats = false;
  readonly #flags: string;
  readonly #sets = new Map<string, CharacterSet>();

  constructor(flags: string) {
    this.#flags = flags;
  }

  /** How many repetitions the next character does not settle. `follow`: what may come behind the body. */
  unsettled(body: Alternatives, follow: CharacterSet): number {
    let count = this.#alternativesOverlap(body, follow) ? 1 : 0;
    for (const terms of body) {
      for (const [index, term] of terms.entries()) {
        count += this.#unsettledTerm(term, this.#first(terms.slice(index + 1), follow));
      }
    }
    return count;
  }

  #unsettledTerm({ atom, min, max }: Term, next: CharacterSet): number {
    if (max > FEW) this.repeats = true;
    if (atom.kind === 'reference')
      throw new PatternError('refers back to a group, which can take without end; say it another way');
    if (atom.kind === 'assertion') return atom.body ? this.unsettled(atom.body, NOTHING) : 0;
    const own = this.#firstOf(atom);
    const choice = min !== max && overlaps(own, next) ? (max > FEW ? 1 : 0) : 0;
    if (atom.kind === 'character') return choice;
    const inside = this.unsettled(atom.body, max > 1 ? own.union(next) : next);
    if (max <= FEW) return choice + inside * max;
    // Within the loop only its own begin counts: what comes behind it is met once.
    if (this.unsettled(atom.body, own) > 0 || this.#nullable(atom.body)) {
      throw new PatternError(
        'repeats a group that can match the same text in several ways, which can take without end; make what each round begins or ends with unmistakable',
      );
    }
    return choice + inside;
  }

  #alternativesOverlap(body: Alternatives, follow: CharacterSet): boolean {
    let seen = NOTHING;
    for (const terms of body) {
      const first = this.#first(terms, follow);
      if (overlaps(seen, first)) return true;
      seen = seen.union(first);
    }
    return false;
  }

  #first(terms: readonly Term[], follow: CharacterSet): CharacterSet {
    let first = NOTHING;
    for (const { atom, min } of terms) {
      if (atom.kind === 'assertion') {
        if (atom.source === '$') return first;
        continue;
      }
      first = first.union(this.#firstOf(atom));
      if (min > 0 && !(atom.kind === 'group' && this.#nullable(atom.body))) return first;
    }
    return first.union(follow);
  }

  #firstOf(atom: Atom): CharacterSet {
    if (atom.kind === 'character') return this.#charactersOf(atom.source);
    if (atom.kind !== 'group') return NOTHING;
    return atom.body.reduce((first, terms) => first.union(this.#first(terms, NOTHING)), NOTHING);
  }

  #nullable(body: Alternatives): boolean {
    return body.some((terms) =>
      terms.every(
        ({ atom, min }) =>
          min === 0 || atom.kind === 'assertion' || (atom.kind === 'group' && this.#nullable(atom.body)),
      ),
    );
  }

  /** Asks the engine itself about every ASCII character. */
  #charactersOf(source: string): CharacterSet {
    const known = this.#sets.get(source);
    if (known) return known;
    const one = new RegExp(`^(?:${source})$`, this.#flags);
    const set = new Set<number>();
    for (let code = 0; code < BEYOND; code++) if (one.test(String.fromCharCode(code))) set.add(code);
    if (/[^\0-\x7f]|\\[uxpPDSWc]|^\[\^|^\.$/.test(source) || /\\s/.test(source)) set.add(BEYOND);
    this.#sets.set(source, set);
    return set;
  }
}
