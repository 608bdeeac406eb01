export {
  createEmbeddedLog,
  DEFAULT_LOG_TUNING,
  type EmbeddedLog,
  type EmbeddedLogOptions,
  type LogTuning,
} from './engine.ts';
