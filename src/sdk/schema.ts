/**
 * Standard Schema (https://standardschema.dev, version 1), as far as types need it: valibot, zod and arktype all carry
 * it, so that the SDK depends on none of them.
 */
export interface StandardSchema<Input = unknown, Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown, ...rest: never[]) => unknown;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/**
 * The value a schema describes. It is the schema's input: the platform checks values and passes them on as they are, it
 * never runs a schema's transforms or fills in defaults.
 */
export type ValueOf<Schema> = Schema extends StandardSchema<infer Input, unknown> ? Input : unknown;

/** `'250ms'`, `'10s'`, `'5m'`, `'2h'`, `'7d'`, `'1w'`, or a number of milliseconds. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd' | 'w'}`;

/** `'256mb'`, `'1gb'` (1 kb = 1,024 bytes), or a number of bytes. */
export type Size = number | `${number}${'b' | 'kb' | 'mb' | 'gb' | 'tb'}`;
