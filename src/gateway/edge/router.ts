import type { HttpTrigger } from '../../kernel/index.ts';
import { pathSegments } from './path.ts';

export type Method = HttpTrigger['method'];

export interface Routed {
  readonly method: Method;
  /** `/payments/:id`; a last segment `*rest` takes everything that follows. */
  readonly path: string;
}

export interface RouteMatch<Route extends Routed> {
  readonly route: Route;
  readonly params: { readonly [name: string]: string };
}

/**
 * Finds routes by method and path, the most specific first: segment by segment from the left, a literal beats a parameter
 * and a parameter beats `*rest`; a route that has the method beats one that has not. A tree has no more nodes than routes
 * have segments, and a search visits each at most once.
 */
export interface Router<Route extends Routed> {
  /** HEAD finds GET. Throws BAD_REQUEST for a path that cannot be. */
  find(method: string, path: string): RouteMatch<Route> | undefined;
  /** Methods that routes offer at this path, for `Allow`; empty when there is none. */
  methods(path: string): Method[];
}

interface Leaf<Route> {
  readonly byMethod: Map<string, Route>;
}

interface Node<Route> {
  readonly literals: Map<string, Node<Route>>;
  parameter: Node<Route> | undefined;
  here: Leaf<Route> | undefined;
  rest: Leaf<Route> | undefined;
}

const NO_PARAMS: { readonly [name: string]: string } = Object.freeze({});

const newNode = <Route>(): Node<Route> => ({
  literals: new Map(),
  parameter: undefined,
  here: undefined,
  rest: undefined,
});

const newLeaf = <Route>(): Leaf<Route> => ({ byMethod: new Map() });

const isParameter = (segment: string): boolean => segment.startsWith(':');
const isRest = (segment: string): boolean => segment.startsWith('*');

/** Two routes of one shape cannot be told apart by any request. */
export function shapeOf({ method, path }: Routed): string {
  const segments = pathSegments(path).map((segment) =>
    isParameter(segment) ? ':' : isRest(segment) ? '*' : segment,
  );
  return `${method} ${JSON.stringify(segments)}`;
}

export function createRouter<Route extends Routed>(routes: Iterable<Route>): Router<Route> {
  const root = newNode<Route>();
  const literal = new Map<string, Leaf<Route>>();
  for (const route of routes) add(root, literal, route);

  return {
    find(method, path) {
      const wanted = method === 'HEAD' ? 'GET' : method;
      const direct = literal.get(path)?.byMethod.get(wanted);
      if (direct) return { route: direct, params: NO_PARAMS };
      const segments = pathSegments(path);
      const found = search(root, segments, 0, (leaf) => leaf.byMethod.get(wanted));
      return found && { route: found, params: paramsOf(found.path, segments) };
    },
    methods(path) {
      const methods = new Set<string>();
      search(root, pathSegments(path), 0, (leaf) => {
        for (const method of leaf.byMethod.keys()) methods.add(method);
        return undefined;
      });
      return [...methods].sort() as Method[];
    },
  };
}

function add<Route extends Routed>(root: Node<Route>, literal: Map<string, Leaf<Route>>, route: Route): void {
  let node = root;
  const segments = pathSegments(route.path);
  for (const segment of segments) {
    if (isRest(segment)) {
      (node.rest ??= newLeaf()).byMethod.set(route.method, route);
      return;
    }
    if (isParameter(segment)) node = node.parameter ??= newNode();
    else {
      let next = node.literals.get(segment);
      if (!next) node.literals.set(segment, (next = newNode()));
      node = next;
    }
  }
  node.here ??= newLeaf();
  node.here.byMethod.set(route.method, route);
  if (!segments.some(isParameter)) literal.set(route.path, node.here);
}

/** The first leaf, by specificity, for which `pick` answers. */
function search<Route>(
  node: Node<Route>,
  segments: readonly string[],
  at: number,
  pick: (leaf: Leaf<Route>) => Route | undefined,
): Route | undefined {
  if (at === segments.length) return node.here && pick(node.here);
  const segment = segments[at]!;
  const next = node.literals.get(segment);
  const byLiteral = next && search(next, segments, at + 1, pick);
  if (byLiteral) return byLiteral;
  const byParameter =
    node.parameter && segment !== '' ? search(node.parameter, segments, at + 1, pick) : undefined;
  return byParameter ?? (node.rest && segment !== '' ? pick(node.rest) : undefined);
}

function paramsOf(path: string, segments: readonly string[]): { readonly [name: string]: string } {
  // Without a prototype: a parameter may be called anything.
  const params: { [name: string]: string } = Object.create(null);
  pathSegments(path).forEach((segment, index) => {
    if (isParameter(segment)) params[segment.slice(1)] = segments[index]!;
    else if (isRest(segment)) params[segment.slice(1)] = segments.slice(index).join('/');
  });
  return params;
}
