import { createRequire } from 'node:module';
import type { Ajv as AjvClass } from 'ajv';
import type { Ajv2020 as Ajv2020Class } from 'ajv/dist/2020.js';

export interface Validators {
  readonly Ajv: typeof AjvClass;
  readonly Ajv2020: typeof Ajv2020Class;
}

const require = createRequire(import.meta.url);

/** The library takes 13 MB once loaded; a platform without schemas does without. Loaded once, at the first schema. */
export const loadValidators = (): Validators => ({
  Ajv: (require('ajv') as { Ajv: Validators['Ajv'] }).Ajv,
  Ajv2020: (require('ajv/dist/2020.js') as { Ajv2020: Validators['Ajv2020'] }).Ajv2020,
});
