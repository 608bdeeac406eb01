/** A port number; 0 picks a free one, `'off'` closes the door. */
export type Port = number | 'off';

/** `millrace.config.ts`. Flags beat `MILLRACE_*` variables, those beat this file, the file beats the defaults. */
export interface MillraceConfig {
  /** The data folder; default `.millrace`. */
  readonly data?: string;
  readonly edgePort?: Port;
  readonly edgeHost?: string;
  readonly apiPort?: Port;
  readonly apiHost?: string;
}

/** Gives `millrace.config.ts` its types: `export default defineConfig({ … })`. */
export function defineConfig<const Config extends MillraceConfig>(config: Config): Config {
  return config;
}
