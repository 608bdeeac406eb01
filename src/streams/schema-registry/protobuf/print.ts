import type { ProtoEnum, ProtoField, ProtoFile, ProtoMessage, ProtoOption } from './model.ts';

/** A .proto file as text. */
export function printProto(file: ProtoFile): string {
  const head = file.syntax === 'editions' ? `edition = "${file.edition}";` : `syntax = "${file.syntax}";`;
  const parts = [
    file.package === '' ? head : `${head}\npackage ${file.package};`,
    file.imports.map(({ path, kind }) => `import ${kind === '' ? '' : `${kind} `}"${path}";`).join('\n'),
    file.options.map(({ name, value }) => `option ${name} = ${value};`).join('\n'),
    ...file.messages.map((message) => printMessage(message, '', file)),
    ...file.enums.map((each) => printEnum(each, '')),
    ...file.services.map(({ name, methods }) => {
      const lines = methods.map(
        (method) =>
          `  rpc ${method.name} (${method.streamsInput ? 'stream ' : ''}${method.input}) returns (${method.streamsOutput ? 'stream ' : ''}${method.output});`,
      );
      return `service ${name} {\n${lines.join('\n')}\n}`;
    }),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function printMessage(message: ProtoMessage, indent: string, file: ProtoFile): string {
  const inner = `${indent}  `;
  const lines = [
    ...message.reserved.map((each) => `${inner}reserved ${each};`),
    ...message.fields.flatMap((field, index) => {
      if (field.oneof === undefined) return [inner + printField(field, file)];
      const members = message.fields.filter(({ oneof }) => oneof === field.oneof);
      return members[0] === message.fields[index] ? [printOneof(field.oneof, members, inner, file)] : [];
    }),
    ...message.messages.map((nested) => printMessage(nested, inner, file)),
    ...message.enums.map((nested) => printEnum(nested, inner)),
  ];
  return `${indent}message ${message.name} {\n${lines.join('\n')}${lines.length > 0 ? '\n' : ''}${indent}}`;
}

function printOneof(name: string, members: readonly ProtoField[], indent: string, file: ProtoFile): string {
  const lines = members.map((field) => `${indent}  ${printField({ ...field, label: '' }, file)}`);
  return `${indent}oneof ${name} {\n${lines.join('\n')}\n${indent}}`;
}

function printField(
  { name, number, label, type, mapKey, oneof, options }: ProtoField,
  { syntax }: ProtoFile,
): string {
  const whole = mapKey === undefined ? type : `map<${mapKey}, ${type}>`;
  // In proto2 every field says what it is.
  const written =
    syntax === 'proto2' && label === '' && mapKey === undefined && oneof === undefined ? 'optional' : label;
  const tail = options.length === 0 ? '' : ` [${options.map(printOption).join(', ')}]`;
  return `${written === '' ? '' : `${written} `}${whole} ${name} = ${number}${tail};`;
}

const printOption = ({ name, value }: ProtoOption): string => `${name} = ${value}`;

function printEnum({ name, values, options }: ProtoEnum, indent: string): string {
  const lines = [
    ...options.map((option) => `${indent}  option ${printOption(option)};`),
    ...values.map((value) => `${indent}  ${value.name} = ${value.number};`),
  ];
  return `${indent}enum ${name} {\n${lines.join('\n')}\n${indent}}`;
}
