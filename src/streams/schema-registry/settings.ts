import { RegistryError } from './errors.ts';
import type { LinkedStreams } from './linked.ts';
import {
  COMPATIBILITY_LEVELS,
  type CompatibilityLevel,
  REGISTRY_MODES,
  type RegistryMode,
  type RegistrySettings,
  type SchemaRegistry,
} from './service.ts';
import type { RegistryStore, Settings, StoredSubject } from './store.ts';

type SettingsPart = Pick<
  SchemaRegistry,
  'config' | 'setConfig' | 'deleteConfig' | 'mode' | 'setMode' | 'deleteMode'
>;

const DEFAULT_LEVEL: CompatibilityLevel = 'BACKWARD';
const DEFAULT_MODE: RegistryMode = 'READWRITE';

/** Compatibility levels and modes, of the registry and of subjects. */
export function createRegistrySettings(store: RegistryStore, linked: LinkedStreams): SettingsPart {
  const change = async (subject: string | undefined, next: (before: Settings) => Settings): Promise<void> => {
    if (subject === undefined) return store.changeSettings(next);
    await store.changeSubject(subject, (before) => {
      const { versions = [], ...settings } = before ?? ({} as Partial<StoredSubject>);
      const after = next(settings);
      return versions.length === 0 && Object.keys(after).length === 0 ? undefined : { ...after, versions };
    });
  };

  const ofSubject = async (subject: string): Promise<Settings> => (await store.subject(subject)) ?? {};

  const global = async () => {
    const { compatibility = DEFAULT_LEVEL, normalize, mode = DEFAULT_MODE } = await store.settings();
    return { level: compatibility as CompatibilityLevel, normalize, mode: mode as RegistryMode };
  };

  const config: SettingsPart['config'] = async (subject, inherited = false) => {
    const whole = await global();
    const shared = whole.normalize === undefined ? {} : { normalize: whole.normalize };
    if (subject === undefined) return { compatibility: whole.level, ...shared };
    const own = await ofSubject(subject);
    if (own.compatibility === undefined && !inherited) {
      const message = `Subject '${subject}' does not have subject-level compatibility configured`;
      throw new RegistryError(40408, message);
    }
    const compatibility = (own.compatibility as CompatibilityLevel) ?? linked.level(subject) ?? whole.level;
    return { ...shared, ...(own.normalize === undefined ? {} : { normalize: own.normalize }), compatibility };
  };

  const mode: SettingsPart['mode'] = async (subject, inherited = false) => {
    const whole = await global();
    if (subject === undefined) return whole.mode;
    const own = (await ofSubject(subject)).mode as RegistryMode | undefined;
    if (own !== undefined) return own;
    if (inherited) return whole.mode;
    throw new RegistryError(40409, `Subject '${subject}' does not have subject-level mode configured`);
  };

  return {
    config,
    setConfig: (subject, settings: RegistrySettings) =>
      change(subject, (before) => ({ ...before, ...settings })),
    async deleteConfig(subject) {
      const { compatibility } = await config(subject);
      await change(subject, ({ compatibility: _, normalize: __, ...rest }) => rest);
      return compatibility;
    },
    mode,
    setMode: (subject, next) => change(subject, (before) => ({ ...before, mode: next })),
    async deleteMode(subject) {
      const before = await mode(subject);
      await change(subject, ({ mode: _, ...rest }) => rest);
      return before;
    },
  };
}

/** Throws 42203. */
export function readLevel(given: unknown): CompatibilityLevel {
  const level = COMPATIBILITY_LEVELS.find((each) => each === String(given).toUpperCase());
  if (level) return level;
  const names = COMPATIBILITY_LEVELS.join(', ');
  throw new RegistryError(
    42203,
    `Invalid compatibility level '${String(given).slice(0, 50)}'. Valid values are ${names}.`,
  );
}

/** Throws 42204. */
export function readMode(given: unknown): RegistryMode {
  const mode = REGISTRY_MODES.find((each) => each === String(given).toUpperCase());
  if (mode) return mode;
  const names = REGISTRY_MODES.join(', ');
  throw new RegistryError(42204, `Invalid mode '${String(given).slice(0, 50)}'. Valid values are ${names}.`);
}
