/**
 * Dead letters that are given again travel through an internal topic of their own for every function and stream it reads,
 * with the partitions of that stream: so they meet the key order and the keyed state of the partition they came from,
 * and no other reader of the stream sees them.
 */
const prefixOf = (fn: string): string => `millrace.redrive.${fn}.`;

export const redriveTopic = (fn: string, stream: string): string => `${prefixOf(fn)}${stream}`;

/** The stream that records of `topic` first came from; undefined when it is no redrive topic of `fn`. */
export function originOfRedriveTopic(fn: string, topic: string): string | undefined {
  return topic.startsWith(prefixOf(fn)) ? topic.slice(prefixOf(fn).length) : undefined;
}
