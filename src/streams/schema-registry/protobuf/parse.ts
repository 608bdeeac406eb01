import { SchemaError } from '../types.ts';
import type { ProtoEnum, ProtoField, ProtoFile, ProtoMessage, ProtoOption, ProtoService } from './model.ts';
import { Tokens } from './tokens.ts';

const DEPTH_AT_MOST = 32;

type Writable<Shape> = { -readonly [Member in keyof Shape]: Shape[Member] };

/**
 * A .proto file (Protocol Buffers language specification, proto2, proto3 and editions). Extensions and custom options
 * are passed over: they change no record of the messages that are declared. Throws SchemaError.
 */
export function parseProto(text: string): ProtoFile {
  const tokens = new Tokens(text);
  const file = {
    syntax: 'proto2' as ProtoFile['syntax'],
    edition: undefined as string | undefined,
    package: '',
    imports: [] as ProtoFile['imports'][number][],
    options: [] as ProtoOption[],
    messages: [] as ProtoMessage[],
    enums: [] as ProtoEnum[],
    services: [] as ProtoService[],
  };
  while (!tokens.done) readTopLevel(tokens, file);
  return file;
}

type OpenFile = {
  syntax: ProtoFile['syntax'];
  edition: string | undefined;
  package: string;
  imports: ProtoFile['imports'][number][];
  options: ProtoOption[];
  messages: ProtoMessage[];
  enums: ProtoEnum[];
  services: ProtoService[];
};

function readTopLevel(tokens: Tokens, file: OpenFile): void {
  const word = tokens.next();
  if (word === 'syntax') readSyntax(tokens, file);
  else if (word === 'edition') {
    tokens.expect('=');
    file.syntax = 'editions';
    file.edition = tokens.text();
    tokens.expect(';');
  } else if (word === 'package') {
    file.package = tokens.typeName();
    tokens.expect(';');
  } else if (word === 'import') {
    const kind = tokens.take('public') ? 'public' : tokens.take('weak') ? 'weak' : '';
    file.imports.push({ kind, path: tokens.text() });
    tokens.expect(';');
  } else if (word === 'option') readOption(tokens, file.options);
  else if (word === 'message') file.messages.push(readMessage(tokens, 0));
  else if (word === 'enum') file.enums.push(readEnum(tokens));
  else if (word === 'service') file.services.push(readService(tokens));
  else if (word === 'extend') skipExtension(tokens);
  else if (word !== ';') throw tokens.unexpected(word, 'a declaration such as message or enum');
}

function skipExtension(tokens: Tokens): void {
  tokens.typeName();
  tokens.expect('{');
  tokens.until('}');
}

function readSyntax(tokens: Tokens, file: OpenFile): void {
  tokens.expect('=');
  const syntax = tokens.text();
  if (syntax !== 'proto2' && syntax !== 'proto3')
    throw new SchemaError(`the syntax '${syntax}' is neither proto2 nor proto3`);
  file.syntax = syntax;
  tokens.expect(';');
}

/** Custom options, in parentheses, are passed over. */
function readOption(tokens: Tokens, options: ProtoOption[]): void {
  const custom = tokens.peek() === '(';
  const name = tokens.until('=');
  const value = tokens.until(';');
  if (!custom) options.push({ name: name.replaceAll(' ', ''), value });
}

function readMessage(tokens: Tokens, depth: number): ProtoMessage {
  if (depth > DEPTH_AT_MOST) throw new SchemaError(`messages are nested deeper than ${DEPTH_AT_MOST} levels`);
  const name = tokens.name();
  tokens.expect('{');
  return readMessageBody(tokens, name, depth);
}

function readMessageBody(tokens: Tokens, name: string, depth: number): ProtoMessage {
  const message = {
    name,
    fields: [] as ProtoField[],
    oneofs: [] as string[],
    messages: [] as ProtoMessage[],
    enums: [] as ProtoEnum[],
    reserved: [] as string[],
  };
  while (!tokens.take('}')) {
    if (tokens.take(';')) continue;
    // `message = 1`-like fields: a keyword is a type's name too where a name and `=` follow.
    const isField = tokens.peek(2) === '=' && tokens.peek(1) !== '=';
    if (!isField && tokens.take('message')) message.messages.push(readMessage(tokens, depth + 1));
    else if (!isField && tokens.take('enum')) message.enums.push(readEnum(tokens));
    else if (!isField && tokens.take('oneof')) readOneof(tokens, message, depth);
    else if (!isField && tokens.take('option')) readOption(tokens, []);
    else if (!isField && tokens.take('reserved')) message.reserved.push(tokens.until(';'));
    else if (!isField && tokens.take('extensions')) tokens.until(';');
    else if (!isField && tokens.take('extend')) skipExtension(tokens);
    else readField(tokens, message, undefined, depth);
  }
  checkFields(message);
  return message;
}

type OpenMessage = {
  [Member in keyof ProtoMessage]: ProtoMessage[Member] extends readonly (infer Each)[]
    ? Each[]
    : ProtoMessage[Member];
};

function readOneof(tokens: Tokens, message: OpenMessage, depth: number): void {
  const name = tokens.name();
  message.oneofs.push(name);
  tokens.expect('{');
  while (!tokens.take('}')) {
    if (tokens.take(';')) continue;
    if (tokens.take('option')) readOption(tokens, []);
    else readField(tokens, message, name, depth);
  }
}

function readField(tokens: Tokens, message: OpenMessage, oneof: string | undefined, depth: number): void {
  const label = readLabel(tokens);
  if (tokens.peek() === 'group' && tokens.peek(2) === '=') {
    readGroup(tokens, message, label, depth);
    return;
  }
  let mapKey: string | undefined;
  let type: string;
  if (tokens.peek() === 'map' && tokens.peek(1) === '<') {
    tokens.next();
    tokens.expect('<');
    mapKey = tokens.name();
    tokens.expect(',');
    type = tokens.typeName();
    tokens.expect('>');
  } else type = tokens.typeName();
  const name = tokens.name();
  tokens.expect('=');
  const number = tokens.integer();
  const options: ProtoOption[] = tokens.take('[') ? fieldOptions(tokens.until(']')) : [];
  tokens.expect(';');
  message.fields.push({ name, number, label, type, mapKey, oneof, options });
}

/** A group is a message and a field of it in one. */
function readGroup(tokens: Tokens, message: OpenMessage, label: ProtoField['label'], depth: number): void {
  tokens.expect('group');
  const name = tokens.name();
  tokens.expect('=');
  const number = tokens.integer();
  if (tokens.take('[')) tokens.until(']');
  tokens.expect('{');
  message.messages.push(readMessageBody(tokens, name, depth + 1));
  message.fields.push({ name: name.toLowerCase(), number, label, type: name, options: [] });
}

function readLabel(tokens: Tokens): ProtoField['label'] {
  for (const label of ['optional', 'required', 'repeated'] as const) {
    if (tokens.peek() === label && tokens.peek(1) !== '=') {
      tokens.next();
      return label;
    }
  }
  return '';
}

/** `packed = true , ( custom ) = 1` → the plain ones. */
function fieldOptions(text: string): ProtoOption[] {
  return [...text.matchAll(/(?:^|, )(\w+) = ("[^"]*"|'[^']*'|[^,\s]+)/g)].map(([, name, value]) => ({
    name: name!,
    value: value!,
  }));
}

function readEnum(tokens: Tokens): ProtoEnum {
  const found: { name: string; values: { name: string; number: number }[]; options: ProtoOption[] } = {
    name: tokens.name(),
    values: [],
    options: [],
  };
  tokens.expect('{');
  while (!tokens.take('}')) {
    if (tokens.take(';')) continue;
    if (tokens.peek() === 'option' && tokens.peek(1) !== '=') {
      tokens.next();
      readOption(tokens, found.options);
    } else if (tokens.peek() === 'reserved' && tokens.peek(1) !== '=') tokens.until(';');
    else {
      const name = tokens.name();
      tokens.expect('=');
      found.values.push({ name, number: tokens.integer() });
      tokens.until(';');
    }
  }
  if (found.values.length === 0) throw new SchemaError(`the enum '${found.name}' needs at least one value`);
  return found;
}

function readService(tokens: Tokens): ProtoService {
  const name = tokens.name();
  const methods: Writable<ProtoService['methods'][number]>[] = [];
  tokens.expect('{');
  while (!tokens.take('}')) {
    if (tokens.take(';')) continue;
    if (tokens.take('option')) {
      readOption(tokens, []);
      continue;
    }
    tokens.expect('rpc');
    const method = tokens.name();
    const [streamsInput, input] = readMessageType(tokens);
    tokens.expect('returns');
    const [streamsOutput, output] = readMessageType(tokens);
    if (tokens.take('{')) tokens.until('}');
    methods.push({ name: method, input, output, streamsInput, streamsOutput });
  }
  return { name, methods };
}

function readMessageType(tokens: Tokens): [boolean, string] {
  tokens.expect('(');
  const streams = tokens.peek() === 'stream' && tokens.peek(1) !== ')';
  if (streams) tokens.next();
  const type = tokens.typeName();
  tokens.expect(')');
  return [streams, type];
}

function checkFields({ name, fields }: ProtoMessage): void {
  const numbers = new Set<number>();
  const names = new Set<string>();
  for (const field of fields) {
    const { number } = field;
    if (number < 1 || number > 536_870_911 || (number >= 19_000 && number <= 19_999))
      throw new SchemaError(`${name}.${field.name} has the number ${number}, which no field can have`);
    if (numbers.has(number)) throw new SchemaError(`${name} has the field number ${number} twice`);
    if (names.has(field.name)) throw new SchemaError(`${name} has the field '${field.name}' twice`);
    numbers.add(number);
    names.add(field.name);
  }
}
