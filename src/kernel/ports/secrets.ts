/** Secret values by name. Values never appear in logs, manifests, facts or errors. */
export interface Secrets {
  /** Throws NOT_FOUND with the command that sets it. */
  read(name: string): Promise<string>;
  names(): Promise<readonly string[]>;
}
