/**
 * The address of a module beside the caller's, with the caller's own ending: `.ts` in a checkout, `.js` once built.
 * Worker modules are named by address, which no compiler rewrites.
 */
export function siblingModule(callerUrl: string, path: string): URL {
  return new URL(`${path}${callerUrl.endsWith('.ts') ? '.ts' : '.js'}`, callerUrl);
}
