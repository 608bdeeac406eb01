import { type Command, type CommandCall, textOption } from './command.ts';
import { type ExitCode, wrongUsage } from './exit.ts';
import { nearestName } from './nearest.ts';
import { table } from './terminal.ts';

interface Token {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expires: string | null;
  readonly token?: string;
}

export const command: Command = {
  usage: 'token create NAME --scopes S,… [--ttl T] | token ls | token rm ID',
  about:
    'Makes, lists and revokes access tokens. The API port asks for one from everybody beyond this machine; the secret of a token is shown once, when it is made.',
  options: {
    scopes: {
      type: 'string',
      value: 'S,…',
      about: 'read, write, invoke, deploy, administer; read unless told',
    },
    ttl: { type: 'string', value: 'T', about: 'how long it is valid, such as 90d; for ever if left out' },
  },
  words: [1, 2],
  examples: [['millrace token create ci --scopes read,write --ttl 90d', 'a token for a build server']],
  run(call) {
    const action = call.words[0]!;
    if (action === 'create') return create(call);
    if (action === 'ls') return list(call);
    if (action === 'rm') return remove(call);
    const near = nearestName(action, ['create', 'ls', 'rm']);
    throw wrongUsage(
      `token cannot ${action}. ${near ? `Did you mean ${near}?` : 'It can create, ls and rm.'}`,
    );
  },
};

async function create(call: CommandCall): Promise<ExitCode> {
  const name = call.words[1];
  if (name === undefined) throw wrongUsage('token create needs a name.');
  const ttl = textOption(call, 'ttl');
  const scopes = (textOption(call, 'scopes') ?? 'read').split(',');
  const content = JSON.stringify({ name, scopes, ...(ttl === undefined ? {} : { ttl }) });
  const token = await call.client.send<Token>('POST', '/tokens', { type: 'application/json', content });
  await call.terminal.out(call.json ? `${JSON.stringify(token)}\n` : `${token.token}\n`);
  return 0;
}

async function list(call: CommandCall): Promise<ExitCode> {
  const answer = await call.client.get<{ tokens: readonly Token[] }>('/tokens');
  const rows = answer.tokens.map(({ id, name, scopes, expires }) => [
    id,
    name,
    scopes.join(','),
    expires ?? 'never',
  ]);
  const text = table(['id', 'name', 'scopes', 'expires'], rows, call.terminal.columns);
  await call.terminal.out(call.json ? `${JSON.stringify(answer)}\n` : text);
  return 0;
}

async function remove(call: CommandCall): Promise<ExitCode> {
  const id = call.words[1];
  if (id === undefined) throw wrongUsage('token rm needs the id that `millrace token ls` shows.');
  await call.client.send('DELETE', `/tokens/${encodeURIComponent(id)}`);
  if (call.json) await call.terminal.out(`${JSON.stringify({ revoked: id })}\n`);
  else call.terminal.note(`revoked ${id}`);
  return 0;
}
