import { AsyncLocalStorage } from 'node:async_hooks';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { HttpTrigger, Trigger } from '../../kernel/index.ts';
import type { InstanceChannel, InstanceSpec, InstanceSurroundings } from '../port.ts';
import type { FromInstance, RunMessage, ToInstance, WireEvent, WireHttp } from '../protocol.ts';
import { IncomingBody, OutgoingBody } from './bodies.ts';
import { captureConsole, createCapture } from './capture.ts';
import { createContext, directEffects, type Surroundings } from './context.ts';
import { describeThrown, InstanceError } from './errors.ts';
import { createLink } from './link.ts';
import { fromPayload, toPayload, transferable } from './payload.ts';
import type { Handler } from './records.ts';
import { createReply, isWebResponse } from './reply.ts';
import { createRequest, requestFromInput } from './request.ts';
import { Running } from './running.ts';

type RecordsModule = typeof import('./records.ts');

/**
 * The harness: what runs inside an instance around a function's handler. It takes invocations off the channel, runs
 * many at once, and answers each exactly once.
 */
export async function serve(
  spec: InstanceSpec,
  channel: InstanceChannel,
  surroundings?: InstanceSurroundings,
): Promise<void> {
  const link = createLink(channel);
  const capture = createCapture(link);
  const current = new AsyncLocalStorage<Running>();
  const streams = [
    { stream: process.stdout, level: 'info' },
    { stream: process.stderr, level: 'error' },
  ] as const;
  // A thread that is shared keeps its console.
  if (!surroundings) captureConsole(console, streams, capture, current);
  const around: Surroundings = { spec, link, capture, env: Object.freeze({ ...spec.env }) };
  try {
    const handler = surroundings?.handler ?? (await loadHandler(spec));
    const records = spec.triggers.some(({ kind }) => kind === 'stream')
      ? await import('./records.ts')
      : undefined;
    const host = new Host(around, channel, handler, records, current);
    channel.listen((messages) => host.receive(messages));
    link.send(['ready']);
  } catch (error) {
    link.send(['failed', describeThrown(error)]);
  }
}

async function loadHandler(spec: InstanceSpec): Promise<Handler> {
  const module = await import(pathToFileURL(join(spec.folder, spec.entry)).href);
  const handler = module[spec.exportName]?.handler;
  if (typeof handler === 'function') return handler;
  throw new InstanceError(
    'FUNCTION_FAILED',
    `'${spec.entry}' has no function under the name '${spec.exportName}'. Build and deploy the app again.`,
  );
}

class Host {
  readonly #around: Surroundings;
  readonly #channel: InstanceChannel;
  readonly #handler: Handler;
  readonly #records: RecordsModule | undefined;
  readonly #current: AsyncLocalStorage<Running>;
  readonly #running = new Map<number, Running>();
  readonly #incoming = new Map<number, IncomingBody>();
  readonly #outgoing = new Map<number, OutgoingBody>();
  /** Events of records whose turn has not come; the first is the one whose turn it is. */
  readonly #turns: (() => void)[] = [];

  constructor(
    around: Surroundings,
    channel: InstanceChannel,
    handler: Handler,
    records: RecordsModule | undefined,
    current: AsyncLocalStorage<Running>,
  ) {
    this.#around = around;
    this.#channel = channel;
    this.#handler = handler;
    this.#records = records;
    this.#current = current;
  }

  receive(messages: readonly ToInstance[]): void {
    for (const message of messages) this.#receiveOne(message);
  }

  #receiveOne(message: ToInstance): void {
    const id = message[1];
    switch (message[0]) {
      case 'run':
        this.#begin(message);
        break;
      case 'answer':
      case 'refusal':
        this.#around.link.settle(message);
        break;
      case 'cancel':
        this.#running.get(id)?.cancel(message[2]);
        this.#incoming.get(id)?.end(CANCELLED[message[2]]);
        this.#outgoing.get(id)?.stop();
        break;
      case 'chunk':
        this.#incoming.get(id)?.push(message[2]);
        break;
      case 'chunkEnd':
        this.#incoming.get(id)?.end(message[2]);
        break;
      case 'credit':
        this.#outgoing.get(id)?.credit(message[2]);
        break;
      case 'bodyGone':
        this.#outgoing.get(id)?.stop();
        break;
    }
  }

  #begin(message: RunMessage): void {
    const running = new Running(message, this.#channel.monotonic());
    this.#running.set(running.id, running);
    this.#around.capture.renew();
    const event = message[2];
    const begin = (): void => void this.#current.run(running, () => this.#runToAnswer(running, event));
    if (event[0] !== 'records') begin();
    else if (this.#turns.push(begin) === 1) this.#takeTurn();
  }

  /**
   * Events of records begin one a turn of the event loop. Two that only compute would otherwise go on by turns at each of
   * their awaits: the records of both would grow old in memory, and no answer would leave before both are there.
   */
  #takeTurn(): void {
    this.#turns[0]!();
    // In the first turn from here the answer leaves, if there is one already.
    setImmediate(() =>
      setImmediate(() => {
        this.#turns.shift();
        if (this.#turns.length > 0) this.#takeTurn();
      }),
    );
  }

  /** Never rejects: whatever happens becomes the one answer of this invocation. */
  async #runToAnswer(running: Running, event: WireEvent): Promise<void> {
    try {
      const answer = await this.#run(running, event);
      if (answer) this.#around.link.send(answer, bytesOf(answer));
    } catch (error) {
      this.#around.link.send(['error', running.id, describeThrown(error)]);
    } finally {
      running.ended = true;
      this.#running.delete(running.id);
      this.#incoming.delete(running.id);
    }
  }

  async #run(running: Running, event: WireEvent): Promise<FromInstance | undefined> {
    if (event[0] === 'records') {
      const elapsedMs = (): number => this.#channel.monotonic() - running.startedMs;
      return this.#records!.runRecords(this.#around, running, this.#handler, event, elapsedMs);
    }
    const context = createContext(this.#around, running, directEffects(this.#around, running));
    if (event[0] === 'http') {
      return this.#sendReply(running, await this.#handler(this.#request(running, event), context));
    }
    const argument =
      event[0] === 'tick'
        ? { kind: 'tick', scheduledMs: event[1], missed: event[2] }
        : argumentOf(this.#around.spec, parseInput(event[1]), running);
    return ['ok', running.id, resultPayload(await this.#handler(argument, context))];
  }

  #request(running: Running, event: WireHttp): object {
    const [, method, , route, , , , , body] = event;
    const isRoute = (trigger: Trigger): trigger is HttpTrigger =>
      trigger.kind === 'http' && trigger.method === method && trigger.path === route;
    const incoming = body === true ? new IncomingBody(this.#around.link, running.id) : undefined;
    if (incoming) this.#incoming.set(running.id, incoming);
    return createRequest(event, this.#around.spec.triggers.find(isRoute), incoming);
  }

  async #sendReply(running: Running, result: unknown): Promise<FromInstance | undefined> {
    const { statusCode, headers, body, stream } = createReply(result);
    if (!stream) return ['reply', running.id, statusCode, headers, body, false];
    const outgoing = new OutgoingBody(this.#around.link, running.id);
    this.#outgoing.set(running.id, outgoing);
    this.#around.link.send(['reply', running.id, statusCode, headers, undefined, true]);
    let error: string | undefined;
    try {
      if (running.cancelled) outgoing.stop();
      await outgoing.pump(stream);
    } catch (thrown) {
      error = describeThrown(thrown)[2];
    } finally {
      this.#outgoing.delete(running.id);
    }
    this.#around.link.send(['chunkEnd', running.id, error]);
    return undefined;
  }
}

const CANCELLED = {
  deadline: 'The deadline passed before the body was read.',
  gone: 'The client has gone before its body was read.',
} as const;

function parseInput(input: string | Uint8Array | undefined): unknown {
  try {
    return fromPayload(input);
  } catch (error) {
    throw new InstanceError('INVALID_INPUT', `The input is not valid JSON: ${(error as Error).message}.`);
  }
}

/** A call by name brings the input as the function's first trigger would bring it. */
function argumentOf(spec: InstanceSpec, input: unknown, running: Running): unknown {
  const nowMs = running.deadlineMs - spec.timeoutMs;
  const trigger = spec.triggers[0];
  switch (trigger?.kind) {
    case undefined:
      return input;
    case 'http':
      return requestFromInput(trigger, input);
    case 'stream': {
      const record = {
        kind: 'record',
        stream: trigger.stream,
        partition: -1,
        offset: -1,
        key: undefined,
        value: input,
        time: nowMs,
        headers: {},
      };
      return spec.batched ? [record] : record;
    }
    default:
      return { kind: 'tick', scheduledMs: nowMs, missed: 0 };
  }
}

function resultPayload(result: unknown): string | Uint8Array | undefined {
  if (result === undefined) return undefined;
  if (isWebResponse(result)) {
    throw new InstanceError('RESULT_INVALID', 'A web Response can only answer a request on the edge port.');
  }
  let payload: string | Uint8Array | undefined;
  try {
    payload = toPayload(result, 'The result');
  } catch (error) {
    throw new InstanceError('RESULT_INVALID', `The result cannot be sent: ${describeThrown(error)[2]}`);
  }
  if (payload !== undefined) return payload;
  throw new InstanceError('RESULT_INVALID', `The result is a ${typeof result}, which JSON cannot carry.`);
}

/** The buffers that an answer gives away: large ones, where copying costs more than the transfer's bookkeeping. */
function bytesOf(answer: FromInstance): ArrayBuffer[] | undefined {
  if (answer[0] === 'ok') return transferable(answer[2]);
  if (answer[0] === 'reply') return transferable(answer[4]);
  return answer[0] === 'records' ? transferable(answer[6]) : undefined;
}
