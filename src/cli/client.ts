import { DEFAULT_URL } from './address.ts';
import { CommandError, type ExitCode } from './exit.ts';

/** Speaks to a running platform. Every failure is a CommandError with the exit code that the command line promises. */
export interface ApiClient {
  readonly url: string;
  get<Answer>(path: string): Promise<Answer>;
  send<Answer>(method: string, path: string, body?: RequestBody): Promise<Answer>;
  /** The answer itself, for what is read piece by piece. */
  open(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response>;
}

export interface RequestBody {
  readonly type: string;
  readonly content: string | Uint8Array;
  readonly headers?: Record<string, string>;
}

export function createClient(url: string, token: string | undefined): ApiClient {
  const base = url.replace(/\/+$/, '');
  const authorization: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token}` };

  const request = async (path: string, init: RequestInit): Promise<Response> => {
    let response: Response;
    try {
      response = await fetch(base + path, { ...init, headers: { ...authorization, ...init.headers } });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw unreachable(base, error);
    }
    if (!response.ok) throw await refusal(response);
    return response;
  };

  return {
    url: base,
    get: async (path) => (await request(path, {})).json() as never,
    async send(method, path, body) {
      const init: RequestInit = { method };
      if (body) {
        init.headers = { 'content-type': body.type, ...body.headers };
        init.body = body.content as NonNullable<RequestInit['body']>;
      }
      const text = await (await request(path, init)).text();
      return (text === '' ? undefined : JSON.parse(text)) as never;
    },
    open: (path, headers, signal) => request(path, { headers, signal }),
  };
}

function unreachable(url: string, error: unknown): CommandError {
  if (!URL.canParse(url)) {
    return new CommandError(2, `'${url}' is not an address. Give one such as --url ${DEFAULT_URL}.`);
  }
  const reason = reasonOf(error);
  return new CommandError(
    4,
    `No platform answers at ${url}${reason}. Start one with \`millrace start\`, or name another with --url.`,
  );
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  return cause?.code === undefined ? '' : ` (${cause.code})`;
}

interface ProblemBody {
  readonly detail?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

async function refusal(response: Response): Promise<CommandError> {
  const problem = (await response.json().catch(() => undefined)) as ProblemBody | undefined;
  const lines = [problem?.detail ?? `The platform answered ${response.status}.`];
  for (const { path, message } of problem?.errors?.slice(0, 20) ?? [])
    lines.push(`  ${path || '/'}: ${message}`);
  return new CommandError(exitCodeOf(response.status), lines.join('\n'), problem);
}

function exitCodeOf(status: number): ExitCode {
  if (status === 404) return 3;
  return status === 401 || status === 403 ? 5 : 1;
}
