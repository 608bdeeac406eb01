import type { Json } from '../../kernel/index.ts';
import { readBody } from '../http/body.ts';
import { parseJson } from '../http/json.ts';
import type { ApiContext } from './route.ts';

/** The whole body of a request that Hono routes; bounded. */
export async function bodyOf(context: ApiContext, limitBytes?: number): Promise<Buffer> {
  return readBody(context.env.incoming, limitBytes ?? context.get('setting').bodyBytes);
}

/** The body as JSON; throws BAD_ENCODING, BAD_JSON, PAYLOAD_TOO_LARGE. */
export async function jsonOf(context: ApiContext, limitBytes?: number): Promise<Json> {
  return parseJson(await bodyOf(context, limitBytes));
}
