import type { Json } from '../../../kernel/index.ts';
import { type Fields, fieldsOf, isFields, listOf, textOf, unusable, wholeOf } from './json.ts';

/** A token that stands around every text, or the text itself. */
export type Framed =
  | { readonly id: number; readonly type: number }
  | { readonly text: true; readonly type: number };

const TEXT: Framed = { text: true, type: 0 };

/** What a post_processor puts around a single text. */
export function frameOf(declared: Json | undefined): readonly Framed[] {
  if (declared === null || declared === undefined) return [TEXT];
  const fields = fieldsOf(declared, 'post_processor');
  const type = textOf(fields.type, 'post_processor.type');
  if (type === 'ByteLevel') return [TEXT];
  if (type === 'RobertaProcessing' || type === 'BertProcessing') {
    const special = (name: 'cls' | 'sep'): Framed => {
      const [, id] = listOf(fields[name], `post_processor.${name}`);
      return { id: wholeOf(id, `post_processor.${name}`), type: 0 };
    };
    return [special('cls'), TEXT, special('sep')];
  }
  if (type === 'TemplateProcessing') return template(fields);
  if (type === 'Sequence') {
    const all = listOf(fields.processors, 'post_processor.processors').map(frameOf);
    const framing = all.filter((frame) => frame.length > 1);
    if (framing.length > 1) throw unusable('it has several post processors that put tokens around a text');
    return framing[0] ?? [TEXT];
  }
  throw unusable(
    `there is no post_processor '${type}' here; there is ByteLevel, BertProcessing, RobertaProcessing, TemplateProcessing, Sequence`,
  );
}

function template({ single, special_tokens: special }: Fields): readonly Framed[] {
  const tokens = fieldsOf(special ?? {}, 'post_processor.special_tokens');
  return listOf(single, 'post_processor.single').flatMap((each): Framed[] => {
    const { SpecialToken: token, Sequence: sequence } = fieldsOf(each, 'a part of post_processor.single');
    const { id, type_id: typeId } = fieldsOf(token ?? sequence, 'a part of post_processor.single');
    const type = wholeOf(typeId ?? 0, 'type_id');
    if (!isFields(token)) return [{ text: true, type }];
    const { ids } = fieldsOf(tokens[textOf(id, 'a special token')], 'a special token');
    return listOf(ids, 'ids of a special token').map((number) => ({ id: wholeOf(number, 'an id'), type }));
  });
}
