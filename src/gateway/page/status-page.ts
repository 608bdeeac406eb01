import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { OutgoingHttpHeaders } from 'node:http';
import type { RouteGroup } from '../api/route.ts';

interface Page {
  readonly body: Buffer;
  readonly headers: OutgoingHttpHeaders;
}

/** The status page at `/`: one document that asks this port alone, under a policy that permits nothing else. */
export function statusPageRoutes(): RouteGroup {
  let page: Promise<Page> | undefined;
  return {
    name: 'page',
    description: 'The status page.',
    hot: [
      {
        method: 'GET',
        path: '/',
        action: 'open',
        operation: {
          operationId: 'getStatusPage',
          summary: 'The status page, for a browser',
          responses: {
            200: { description: 'HTML.', content: { 'text/html': { schema: { type: 'string' } } } },
          },
        },
        handle: async (exchange) => {
          const { body, headers } = await (page ??= loadPage());
          exchange.send(200, 'text/html; charset=utf-8', body, headers);
        },
      },
    ],
  };
}

async function loadPage(): Promise<Page> {
  const body = await readFile(new URL('./status-page.html', import.meta.url));
  const text = body.toString('utf8');
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(text, 'script')}`,
    `style-src ${hashOf(text, 'style')}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    body,
    headers: {
      'Content-Security-Policy': policy.join('; '),
      'Cache-Control': 'no-cache',
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
    },
  };
}

/** Content Security Policy names an inline element by the hash of what stands in it. */
function hashOf(page: string, tag: string): string {
  const start = page.indexOf(`<${tag}>`) + tag.length + 2;
  const content = page.slice(start, page.indexOf(`</${tag}>`, start));
  return `'sha256-${createHash('sha256').update(content).digest('base64')}'`;
}
