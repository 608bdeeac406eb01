/** `path` is a place in the schema (`/customer/id`), `message` a verb phrase: `transforms (trim)`. */
export interface SchemaProblem {
  readonly path: string;
  readonly message: string;
}
