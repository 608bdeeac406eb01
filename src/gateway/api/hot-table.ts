import { MillraceError } from '../../kernel/index.ts';
import type { HotRoute } from './route.ts';

export interface HotMatch {
  readonly route: HotRoute;
  readonly params: readonly string[];
}

/** Finds hot routes by method and path. HEAD finds GET. Parameters take one segment each. */
export interface HotTable {
  /** Throws BAD_REQUEST when a matching path has broken percent-encoding. */
  find(method: string, path: string): HotMatch | undefined;
  /** Methods of the routes that the path matches. */
  methods(path: string): string[];
}

interface Pattern {
  readonly segments: readonly (string | null)[];
  readonly route: HotRoute;
}

export function createHotTable(routes: readonly HotRoute[]): HotTable {
  const byMethod = new Map<string, Pattern[]>();
  for (const route of routes) {
    const segments = route.path.slice(1).split('/');
    const pattern = { route, segments: segments.map((text) => (text.startsWith('{') ? null : text)) };
    byMethod.set(route.method, [...(byMethod.get(route.method) ?? []), pattern]);
  }
  return {
    find(method, path) {
      const patterns = byMethod.get(method === 'HEAD' ? 'GET' : method);
      if (!patterns) return undefined;
      const segments = path.slice(1).split('/');
      for (const pattern of patterns) {
        if (matches(pattern, segments)) return { route: pattern.route, params: paramsOf(pattern, segments) };
      }
      return undefined;
    },
    methods(path) {
      const segments = path.slice(1).split('/');
      return [...byMethod]
        .filter(([, list]) => list.some((one) => matches(one, segments)))
        .map(([name]) => name);
    },
  };
}

function matches(pattern: Pattern, segments: readonly string[]): boolean {
  if (pattern.segments.length !== segments.length) return false;
  for (let index = 0; index < segments.length; index++) {
    const wanted = pattern.segments[index];
    if (wanted === null ? segments[index] === '' : wanted !== segments[index]) return false;
  }
  return true;
}

function paramsOf(pattern: Pattern, segments: readonly string[]): string[] {
  const params: string[] = [];
  for (let index = 0; index < segments.length; index++) {
    if (pattern.segments[index] === null) params.push(decodeSegment(segments[index]!));
  }
  return params;
}

export function decodeSegment(segment: string): string {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new MillraceError('BAD_REQUEST', 'The path has broken percent-encoding. Encode it as UTF-8.');
  }
}
