import { type ErrorCode, type InputProblem, MillraceError } from '../kernel/index.ts';

/** A place in a source file; `line` counts from 1, `path` is relative to the app's folder. */
export interface SourcePlace {
  readonly path: string;
  readonly line: number;
}

/** Gathers all that is wrong with an app, so that its author mends it in one go. */
export interface Problems {
  /** `pointer` says where in the app: `/functions/score/timeout`. */
  add(pointer: string, message: string, place?: SourcePlace): void;
  readonly list: readonly InputProblem[];
  /** Throws APP_INVALID with all problems, if there are any. */
  check(app: string): void;
}

export function createProblems(): Problems {
  const list: InputProblem[] = [];
  return {
    list,
    add(pointer, message, place) {
      list.push({ path: pointer, message: place ? `${place.path}:${place.line}: ${message}` : message });
    },
    check(app) {
      if (list.length > 0) throw problemsError(app, list);
    },
  };
}

export function problemsError(
  app: string,
  list: readonly InputProblem[],
  code: ErrorCode = 'APP_INVALID',
  cause?: unknown,
): MillraceError {
  const count = list.length === 1 ? 'a problem' : `${list.length} problems`;
  const lines = list.map((problem) => `  ${problem.message}`).join('\n');
  return new MillraceError(code, `The app '${app}' has ${count}:\n${lines}`, { errors: list, cause });
}
