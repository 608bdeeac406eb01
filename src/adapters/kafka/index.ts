export { type KafkaLogOptions, kafkaLogStore } from './log-store.ts';
export type { SaslOptions } from './options.ts';
