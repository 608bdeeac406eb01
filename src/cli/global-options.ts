import type { CommandOption } from './command.ts';

/** What every command takes. */
export const GLOBAL_OPTIONS: { readonly [name: string]: CommandOption } = {
  json: { type: 'boolean', about: 'print JSON: one document, or one per line for streams of things' },
  url: {
    type: 'string',
    value: 'URL',
    about: 'the platform to speak to (the one that runs on the data folder, or http://127.0.0.1:7401)',
  },
  data: { type: 'string', value: 'DIR', about: 'the data folder of the platform to speak to (.millrace)' },
  token: { type: 'string', value: 'TOKEN', about: 'access token for a platform beyond this machine' },
  help: { type: 'boolean', short: 'h', about: 'show this' },
};
