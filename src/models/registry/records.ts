import { type Json, MillraceError, type ModelServing } from '../../kernel/index.ts';
import type { ValueSpec } from '../tensor.ts';

/** A model by name: what its versions have in common. */
export interface ModelRecord {
  readonly name: string;
  /** The app that brings it; null when its versions are uploaded. */
  readonly owner: string | null;
  readonly description: string;
  readonly tags: Tags;
  /** Versions by what they are for: `production`, `staging`, … */
  readonly aliases: { readonly [alias: string]: string };
  readonly createdMs: number;
  readonly updatedMs: number;
  /** Number of the version registered last; how many there have been. */
  readonly latest: number;
}

export type Tags = { readonly [name: string]: string };
export type Metrics = { readonly [name: string]: number };

/** What a version is and where it comes from. Never changed, but for its tags. */
export interface VersionRecord {
  readonly model: string;
  /** Sixteen hexadecimal digits: the hash of the ONNX file and of how it is served. */
  readonly version: string;
  /** 1 for the first of the model. */
  readonly number: number;
  readonly sha256: string;
  readonly bytes: number;
  readonly createdMs: number;
  /** Who registered it: an app's version, a principal, a training run. */
  readonly by: string;
  readonly serving: ModelServing;
  readonly inputs: readonly ValueSpec[];
  readonly outputs: readonly ValueSpec[];
  /** What ran it best when it was registered: that is tried first when it is loaded. */
  readonly measured?: Measured;
  readonly metrics: Metrics;
  readonly tags: Tags;
  /** What it was trained on. */
  readonly data?: DataReference;
  /** What it came from. */
  readonly lineage: Lineage;
  /** Markdown. */
  readonly card: string;
  /** Any more facts, such as the reference distributions that drift is measured against. */
  readonly facts: { readonly [name: string]: Json };
}

export interface Measured {
  readonly engine: string;
  readonly place: 'caller' | 'worker';
  readonly reason: string;
  /** Whether nothing that may have come since could be worth a comparison. */
  readonly settled: boolean;
}

export interface DataReference {
  /** A stream, a file, a query: where the rows can be found again. */
  readonly source: string;
  readonly rows?: number;
  readonly sha256?: string;
  readonly from?: string;
  readonly to?: string;
}

export interface Lineage {
  /** The version it replaces or was trained to follow. */
  readonly parent?: string;
  readonly app?: string;
  readonly run?: string;
  readonly code?: string;
}

const ALIAS = /^[a-z][a-z0-9._-]{0,63}$/;
const VERSION = /^[0-9a-f]{16}$/;
const NAME = /^(?!millrace\.)[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/;

export const isVersionId = (text: string): boolean => VERSION.test(text);
export const isNumber = (text: string): boolean => /^[1-9]\d{0,8}$/.test(text);

/** Throws INVALID_INPUT. */
export function checkModelName(name: string): void {
  if (NAME.test(name)) return;
  const message = `'${name.slice(0, 100)}' cannot name a model; use up to 200 letters, digits, '.', '_' and '-', with a letter or digit first.`;
  throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/name', message }] });
}

/** Throws INVALID_INPUT. */
export function checkAlias(alias: string): void {
  if (ALIAS.test(alias) && !VERSION.test(alias)) return;
  const message = `'${alias.slice(0, 100)}' cannot be an alias; use up to 64 small letters, digits, '.', '_' and '-', with a letter first, such as 'staging'.`;
  throw new MillraceError('INVALID_INPUT', message, { errors: [{ path: '/alias', message }] });
}

const MOST_TAGS = 64;
const LONGEST_TAG = 256;

/** Throws INVALID_INPUT. */
export function checkTags(tags: Tags): void {
  const entries = Object.entries(tags);
  const long = entries.find(([name, value]) => name.length > LONGEST_TAG || value.length > LONGEST_TAG);
  if (entries.length <= MOST_TAGS && !long) return;
  const message = long
    ? `The tag '${long[0].slice(0, 50)}' is longer than ${LONGEST_TAG} characters.`
    : `${entries.length} tags are more than ${MOST_TAGS}.`;
  throw new MillraceError('INVALID_INPUT', `${message} Keep long texts in the model card.`, {
    errors: [{ path: '/tags', message }],
  });
}
