import { MillraceError } from '../../kernel/index.ts';
import type { RouteGroup } from './route.ts';

/** The group with every route that administers something answering CONFLICT with the reason instead. */
export function withoutWrites(group: RouteGroup, reason: string): RouteGroup {
  const routes = group.routes?.map((route) => {
    if (route.action !== 'administer' || route.method === 'GET') return route;
    const handle = (): never => {
      throw new MillraceError('CONFLICT', reason);
    };
    return { ...route, handle };
  });
  return { ...group, ...(routes ? { routes } : {}) };
}
