import {
  type AppVersion,
  type Clock,
  type Deployable,
  type HttpTrigger,
  isMillraceError,
  type JsonSchema,
  type PlannedChange,
} from '../../kernel/index.ts';
import { type CompiledSchema, createSchemaCompiler } from '../../streams/index.ts';
import { type AddressSet, createAddressSet } from './addresses.ts';
import { createRateLimiter, type RateLimiter } from './rate-limit.ts';
import { createRouter, type Method, type Router, shapeOf } from './router.ts';

/** One route of one version of one function, ready to serve. */
export interface EdgeRoute {
  readonly app: string;
  readonly fn: string;
  readonly version: string;
  readonly method: Method;
  readonly path: string;
  readonly trigger: HttpTrigger;
  readonly body: CompiledSchema | undefined;
  readonly query: CompiledSchema | undefined;
  readonly allow: AddressSet | undefined;
  readonly limiter: RateLimiter | undefined;
}

/** The routes of all active apps. Activation replaces the router as a whole, between two requests. */
export interface RouteTable extends Deployable {
  readonly router: Router<EdgeRoute>;
  list(): readonly EdgeRoute[];
}

export function createRouteTable(clock: Clock): RouteTable {
  const byApp = new Map<string, readonly EdgeRoute[]>();
  const compile = rememberedCompiler();
  let router = createRouter<EdgeRoute>([]);

  const all = (): EdgeRoute[] => [...byApp.values()].flat();

  const build = (next: AppVersion): EdgeRoute[] => {
    const running = new Map((byApp.get(next.app) ?? []).map((route) => [shapeOf(route), route]));
    return next.manifest.functions.flatMap((fn) =>
      httpTriggers(fn.triggers).map((trigger): EdgeRoute => {
        const { method, path } = trigger;
        return {
          app: next.app,
          fn: fn.name,
          version: fn.version,
          method,
          path,
          trigger,
          body: trigger.body === undefined ? undefined : compile(trigger.body),
          query: trigger.query === undefined ? undefined : compile(trigger.query),
          allow: trigger.allow && createAddressSet(trigger.allow),
          limiter: limiterFor(trigger, running.get(shapeOf(trigger)), clock),
        };
      }),
    );
  };

  return {
    kind: 'routes',
    get router() {
      return router;
    },
    list: all,
    async plan(current, next) {
      const others = all().filter(({ app }) => app !== (next ?? current)?.app);
      return planRoutes(current, next, others, compile);
    },
    async prepare(_current, next) {
      if (next) build(next);
    },
    async activate(current, next) {
      if (next) byApp.set(next.app, build(next));
      else if (current) byApp.delete(current.app);
      router = createRouter(all());
    },
    async abandon() {},
  };
}

/** Compiling takes milliseconds and versions mostly share their schemas; the last thousand are remembered. */
function rememberedCompiler(): (schema: JsonSchema) => CompiledSchema {
  const compiler = createSchemaCompiler();
  const known = new Map<string, CompiledSchema>();
  return (schema) => {
    const text = JSON.stringify(schema);
    let compiled = known.get(text);
    if (!compiled) known.set(text, (compiled = compiler.compile(schema)));
    if (known.size > 1000) known.delete(known.keys().next().value!);
    return compiled;
  };
}

function httpTriggers(triggers: readonly { readonly kind: string }[]): HttpTrigger[] {
  return triggers.filter((trigger): trigger is HttpTrigger => trigger.kind === 'http');
}

/** A deployment that leaves the limit as it is leaves what clients have used of it too. */
function limiterFor(
  trigger: HttpTrigger,
  running: EdgeRoute | undefined,
  clock: Clock,
): RateLimiter | undefined {
  if (!trigger.rateLimit) return undefined;
  const same = JSON.stringify(running?.trigger.rateLimit) === JSON.stringify(trigger.rateLimit);
  return same && running?.limiter ? running.limiter : createRateLimiter(trigger.rateLimit, clock);
}

interface Declared extends HttpTrigger {
  readonly fn: string;
}

function declaredBy(version: AppVersion | undefined): Map<string, Declared> {
  const found = new Map<string, Declared>();
  for (const fn of version?.manifest.functions ?? []) {
    for (const trigger of httpTriggers(fn.triggers)) {
      found.set(shapeOf(trigger), { ...trigger, fn: fn.name });
    }
  }
  return found;
}

function planRoutes(
  current: AppVersion | undefined,
  next: AppVersion | undefined,
  others: readonly EdgeRoute[],
  compile: (schema: JsonSchema) => CompiledSchema,
): PlannedChange[] {
  const before = declaredBy(current);
  const after = declaredBy(next);
  const taken = new Map(others.map((route) => [shapeOf(route), route]));
  const changes: PlannedChange[] = [];
  for (const [shape, route] of after) {
    const owner = taken.get(shape);
    if (owner) changes.push(conflict(route, owner));
    else changes.push(schemaRefusal(route, compile) ?? difference(before.get(shape), route));
  }
  for (const [shape, route] of before) {
    if (!after.has(shape)) changes.push({ resource: nameOf(route), action: 'remove', details: [] });
  }
  return changes;
}

const nameOf = ({ method, path }: HttpTrigger): string => `route/${method} ${path}`;

function conflict(route: Declared, owner: EdgeRoute): PlannedChange {
  return {
    resource: nameOf(route),
    action: 'create',
    details: [],
    refusal: `${owner.method} ${owner.path} belongs to function '${owner.fn}' of app '${owner.app}'. Choose another path, or remove it there first.`,
    code: 'NAME_TAKEN',
  };
}

function schemaRefusal(
  route: Declared,
  compile: (schema: JsonSchema) => CompiledSchema,
): PlannedChange | undefined {
  try {
    for (const schema of [route.body, route.query]) if (schema !== undefined) compile(schema);
    return undefined;
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    return { resource: nameOf(route), action: 'create', details: [], refusal: error.message };
  }
}

function difference(before: Declared | undefined, next: Declared): PlannedChange {
  const resource = nameOf(next);
  if (!before) return { resource, action: 'create', details: [`function ${next.fn}`] };
  const names = new Set([...Object.keys(before), ...Object.keys(next)]);
  const details = [...names].flatMap((name) => {
    const [from, to] = [before, next].map((each) => JSON.stringify(each[name as keyof Declared]) ?? 'none');
    return from === to ? [] : [`${name} ${from} → ${to}`];
  });
  return { resource, action: details.length === 0 ? 'keep' : 'update', details };
}
