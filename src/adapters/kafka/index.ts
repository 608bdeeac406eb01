export {
  type CopyCluster,
  type CopyOptions,
  type CopyProgress,
  type CopySummary,
  copyTopics,
} from './copy/copy.ts';
export { type KafkaLogOptions, kafkaLogStore } from './log-store.ts';
