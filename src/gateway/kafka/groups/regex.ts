import { compilePattern } from '../../../streams/index.ts';
import { KafkaError } from '../errors.ts';

/** Longest expression that is looked at. */
const LENGTH_AT_MOST = 1_000;

/**
 * A subscription's or a filter's expression: RE2 in Apache Kafka (KIP-848), matched against the whole name. What RE2 does not
 * know (looking around, references) is refused, and so is what could take without end. Throws INVALID_REGULAR_EXPRESSION.
 */
export function compileRegex(regex: string): (text: string) => boolean {
  const [, flags, rest] = /^(?:\(\?([is]+)\))?(.*)$/s.exec(regex)!;
  const translated = rest!
    .replace(/\\Q(.*?)(?:\\E|$)/gs, (_, literal: string) => literal.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    .replace(/\(\?P</g, '(?<')
    .replace(/\\A/g, '^')
    .replace(/\\z/g, '$');
  if (regex.length > LENGTH_AT_MOST) throw invalid(regex, `it is longer than ${LENGTH_AT_MOST} characters`);
  if (/\(\?<?[=!]/.test(translated)) throw invalid(regex, 'it looks around, which RE2 does not know');
  const source = flags?.includes('i') ? ignoringCase(translated) : translated;
  try {
    const pattern = compilePattern(`^(?:${source})$`);
    return (text) => pattern.test(text);
  } catch (error) {
    throw invalid(regex, (error as Error).message);
  }
}

/** Names are ASCII: each letter stands for both of its cases. Ranges like [a-f] get their other half behind them. */
function ignoringCase(source: string): string {
  const both = (letter: string): string => `${letter.toLowerCase()}${letter.toUpperCase()}`;
  let inClass = false;
  return source.replace(/\\.|[a-zA-Z]-[a-zA-Z]|[a-zA-Z[\]]/gs, (token) => {
    if (token === '[' || token === ']') {
      inClass = token === '[';
      return token;
    }
    if (token.startsWith('\\')) return token;
    if (token.length === 3) {
      if (inClass) return `${token.toLowerCase()}${token.toUpperCase()}`;
      return `[${both(token[0]!)}]-[${both(token[2]!)}]`;
    }
    return inClass ? both(token) : `[${both(token)}]`;
  });
}

function invalid(regex: string, why: string): KafkaError {
  return new KafkaError(
    'INVALID_REGULAR_EXPRESSION',
    `The expression ${JSON.stringify(regex.slice(0, 80))} cannot be used: ${why}.`,
  );
}
