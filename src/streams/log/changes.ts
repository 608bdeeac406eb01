import type { GroupChange, TransactionChange } from '../coordination/index.ts';
import type { TopicInfo } from '../port.ts';
import type { FrameEntry } from './frame.ts';
import type { LostRange } from './partition.ts';
import type { SegmentLine } from './segment.ts';

/**
 * Changes of metadata, kept in the write-ahead file as JSON between the batches they belong to. Replaying them in order over
 * any later state ends in the same state (R1): each says what is, not what to do to it.
 */
export type Change =
  | { readonly kind: 'topic'; readonly number: number; readonly info: TopicInfo }
  | { readonly kind: 'topic-gone'; readonly number: number }
  | {
      readonly kind: 'start';
      readonly number: number;
      readonly partition: number;
      readonly offset: number;
    }
  | {
      readonly kind: 'swap';
      readonly number: number;
      readonly partition: number;
      readonly removed: readonly string[];
      readonly added: SegmentLine | null;
      readonly generation: number;
      readonly cleanEnd: number;
    }
  | {
      readonly kind: 'lost';
      readonly number: number;
      readonly partition: number;
      readonly range: LostRange;
    }
  | GroupChange
  | TransactionChange;

export function changeEntry(change: Change): FrameEntry {
  return {
    kind: 'metadata',
    topicNumber: 0,
    partition: 0,
    baseOffset: 0,
    bytes: new TextEncoder().encode(JSON.stringify(change)),
  };
}

export function readChange(bytes: Uint8Array): Change {
  return JSON.parse(new TextDecoder().decode(bytes)) as Change;
}
