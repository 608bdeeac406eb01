import type { CommandOption } from './command.ts';

/** What every command takes. */
export const GLOBAL_OPTIONS: { readonly [name: string]: CommandOption } = {
  json: { type: 'boolean', about: 'print JSON: one document, or one per line for streams of things' },
  url: { type: 'string', value: 'URL', about: 'the platform to speak to (http://127.0.0.1:7401)' },
  token: { type: 'string', value: 'TOKEN', about: 'access token for a platform beyond this machine' },
  help: { type: 'boolean', short: 'h', about: 'show this' },
};
