import { type Command, textOption } from './command.ts';
import { type ExitCode, wrongUsage } from './exit.ts';

export const command: Command = {
  usage: 'redrive FUNCTION [--record OFFSET]',
  about:
    'Gives the dead letters of a function to it again, to it alone: all that were not given again before, or the one at an offset of its dead-letter stream.',
  options: {
    record: { type: 'string', value: 'OFFSET', about: 'only the record at this offset of FUNCTION.dlq' },
  },
  words: [1, 1],
  examples: [
    ['millrace tail score.dlq --from start', 'what score gave up on, and why'],
    ['millrace redrive score', 'all of them again'],
    ['millrace redrive score --record 12', 'one of them'],
  ],
  async run(call): Promise<ExitCode> {
    const record = textOption(call, 'record');
    if (record !== undefined && !/^\d{1,15}$/.test(record))
      throw wrongUsage(`'${record}' is not an offset. Give a whole number.`);
    const { client, json, terminal, words } = call;
    const content = JSON.stringify(record === undefined ? {} : { record: Number(record) });
    const path = `/functions/${encodeURIComponent(words[0]!)}/redrive`;
    const done = await client.send<{ redriven: number; left: number }>('POST', path, {
      type: 'application/json',
      content,
    });
    if (json) await terminal.out(`${JSON.stringify(done)}\n`);
    else {
      terminal.note(`${done.redriven} dead letters are on their way to ${words[0]}.`);
      if (done.left > 0)
        terminal.note(`${done.left} stay: ${words[0]} no longer reads the stream they came from.`);
    }
    return 0;
  },
};
