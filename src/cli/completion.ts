import type { Command, CommandEntry, CommandOption } from './command.ts';
import { wrongUsage } from './exit.ts';
import { GLOBAL_OPTIONS } from './global-options.ts';
import { nearestName } from './nearest.ts';

/** What completes the first word of a command; names are asked from the running platform when Tab is pressed. */
const NAMES_OF: { readonly [command: string]: 'streams' | 'functions' | 'apps' } = {
  emit: 'streams',
  tail: 'streams',
  show: 'streams',
  logs: 'functions',
  invoke: 'functions',
  redrive: 'functions',
  versions: 'apps',
  rollback: 'apps',
};
const ACTIONS: { readonly [command: string]: readonly string[] } = {
  token: ['create', 'ls', 'rm'],
  secret: ['set', 'ls', 'rm'],
  streams: ['copy'],
  completion: ['bash', 'zsh', 'fish'],
};
const SHELLS = ['bash', 'zsh', 'fish'];

interface Entry {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly (readonly [string, CommandOption])[];
}

/** The command that completes all of `commands`. */
export function completionOf(commands: readonly CommandEntry[]): Command {
  return {
    usage: 'completion bash|zsh|fish',
    about:
      'Prints a script that completes commands, options and the names of streams, functions and apps of the running platform.',
    options: {
      names: {
        type: 'string',
        value: 'KIND',
        about: 'print the names of streams, functions or apps instead',
      },
    },
    words: [0, 1],
    examples: [
      ['source <(millrace completion bash)', 'for this shell; in ~/.bashrc for every one'],
      ['millrace completion fish > ~/.config/fish/completions/millrace.fish', 'for fish'],
      ['source <(millrace completion zsh)', 'for zsh, after compinit'],
    ],
    async run({ words, values, client, terminal }) {
      const kind = values['names'];
      if (typeof kind === 'string') {
        // Whoever presses Tab wants names or nothing, never an error.
        const names = await namesOf(kind, client.get).catch(() => []);
        await terminal.out(names.map((name) => `${name}\n`).join(''));
        return 0;
      }
      const shell = words[0] ?? '';
      const near = nearestName(shell, SHELLS);
      if (!SHELLS.includes(shell)) {
        throw wrongUsage(
          `completion needs a shell: bash, zsh or fish.${near ? ` Did you mean ${near}?` : ''}`,
        );
      }
      const entries = await loadEntries(commands);
      const script = shell === 'bash' ? bashScript : shell === 'zsh' ? zshScript : fishScript;
      await terminal.out(script(entries));
      return 0;
    },
  };
}

async function namesOf(kind: string, get: <Answer>(path: string) => Promise<Answer>): Promise<string[]> {
  type Named = { readonly name?: string; readonly app?: string };
  const path = kind === 'apps' ? '/apps' : kind === 'functions' ? '/overview' : '/streams';
  const answer = await get<{ readonly [kind: string]: readonly Named[] }>(path);
  const names = (answer[kind] ?? []).map(({ name, app }) => name ?? app ?? '');
  // A name that a shell would read as more than a word is not offered.
  return names.filter((name) => /^[\w.:/-]+$/.test(name));
}

async function loadEntries(commands: readonly CommandEntry[]): Promise<Entry[]> {
  return Promise.all(
    commands.map(async ({ name, summary, load }) => {
      const { options } = (await load()).command;
      return { name, summary, flags: Object.entries({ ...options, ...GLOBAL_OPTIONS }) };
    }),
  );
}

const flagsOf = ({ flags }: Entry): string => flags.map(([flag]) => `--${flag}`).join(' ');

const askFor = (kind: string): string => `millrace completion --names ${kind} 2>/dev/null`;

/** Bash: candidates by the command word, filtered by what is typed. */
function bashScript(entries: readonly Entry[]): string {
  const cases = entries.map((entry) => {
    const kind = NAMES_OF[entry.name];
    const words = kind ? `$(${askFor(kind)})` : (ACTIONS[entry.name]?.join(' ') ?? '');
    return `    ${entry.name}) flags='${flagsOf(entry)}' words="${words}" ;;`;
  });
  return `# bash completion for millrace: source <(millrace completion bash)
_millrace() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command='' flags='' words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) command="$word"; break ;; esac
  done
  case "$command" in
    '') words='${entries.map(({ name }) => name).join(' ')} help' ;;
${cases.join('\n')}
    help) words='${entries.map(({ name }) => name).join(' ')}' ;;
  esac
  case "$current" in -*) words="$flags" ;; esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ \${#COMPREPLY[@]} -eq 0 && "$current" != -* ]]; then compopt -o default 2>/dev/null; fi
}
complete -F _millrace millrace
`;
}

const singleQuoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Zsh: the same through compadd and _describe. */
function zshScript(entries: readonly Entry[]): string {
  const commands = entries.map(({ name, summary }) => `    ${singleQuoted(`${name}:${summary}`)}`);
  const cases = entries.map((entry) => {
    const kind = NAMES_OF[entry.name];
    const words = kind ? `\${(f)"$(${askFor(kind)})"}` : (ACTIONS[entry.name]?.join(' ') ?? '');
    return `    ${entry.name}) flags=(${flagsOf(entry)}); words_=(${words}) ;;`;
  });
  return `#compdef millrace
# zsh completion for millrace: millrace completion zsh > "\${fpath[1]}/_millrace"
_millrace() {
  local command='' word; local -a commands flags words_
  commands=(
${commands.join('\n')}
  )
  for word in "\${(@)words[2,CURRENT-1]}"; do
    [[ $word == -* ]] || { command=$word; break; }
  done
  case $command in
    '') _describe command commands; return ;;
${cases.join('\n')}
  esac
  if [[ $PREFIX == -* ]]; then compadd -- $flags
  elif (( \${#words_} )); then compadd -- $words_
  else _files; fi
}
if [[ $funcstack[1] == _millrace ]]; then _millrace "$@"; else compdef _millrace millrace; fi
`;
}

/** Fish: one line a fact, conditioned on the command that was typed. */
function fishScript(entries: readonly Entry[]): string {
  const lines = entries.flatMap((entry) => {
    const { name, summary, flags } = entry;
    const seen = `-n '__fish_seen_subcommand_from ${name}'`;
    const kind = NAMES_OF[name];
    const words = kind ? `(${askFor(kind)})` : ACTIONS[name]?.join(' ');
    return [
      `complete -c millrace -f -n __fish_use_subcommand -a ${name} -d ${fishQuoted(summary)}`,
      ...(words ? [`complete -c millrace -f ${seen} -a ${fishQuoted(words)}`] : []),
      ...flags.map(([flag, option]) => {
        const value = option.type === 'string' ? ' -r' : '';
        const letter = option.short ? ` -s ${option.short}` : '';
        return `complete -c millrace ${seen} -l ${flag}${letter}${value} -d ${fishQuoted(option.about)}`;
      }),
    ];
  });
  return `# fish completion for millrace\n${lines.join('\n')}\n`;
}

const fishQuoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
