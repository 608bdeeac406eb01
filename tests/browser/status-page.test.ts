import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { signal } from '../../src/kernel/index.ts';
import { createPlatform, loadConfig, type Platform } from '../../src/main.ts';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = PLACES.find((path) => existsSync(path));
const skip = executablePath === undefined ? `no Chromium at ${PLACES.join(', ')}` : false;

const HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=2</script>';

interface Visit extends AsyncDisposable {
  readonly page: Page;
  /** Console errors and failed requests. */
  readonly complaints: string[];
  readonly requests: string[];
}

describe('the status page', { skip }, () => {
  let folder: string;
  let platform: Platform;
  let browser: Browser;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'millrace-page-'));
    const flags = { data: join(folder, 'data'), 'api-port': '0', 'edge-port': '0', 'kafka-port': 'off' };
    platform = createPlatform(await loadConfig({ flags, env: {}, folder }));
    await platform.start();
    browser = await chromium.launch({
      executablePath: executablePath!,
      args: ['--no-sandbox', '--disable-gpu'],
    });
  });

  after(async () => {
    await browser?.close();
    await platform?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function visit(options: Parameters<Browser['newContext']>[0] = {}): Promise<Visit> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    const complaints: string[] = [];
    const requests: string[] = [];
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => requests.push(request.url()));
    await page.goto(`${platform.addresses.api}/`);
    await page.locator('#health', { hasText: 'running' }).waitFor();
    return { page, complaints, requests, [Symbol.asyncDispose]: () => context.close() };
  }

  const emit = (stream: string, values: readonly unknown[]): Promise<unknown> =>
    platform.streams.publishLines(
      stream,
      Buffer.from(values.map((value) => JSON.stringify(value)).join('\n')),
    );

  it('tells a newcomer what to do while there is nothing', async () => {
    await using visitor = await visit();
    await visitor.page.getByText('npx millrace init').waitFor();
    assert.equal(await visitor.page.locator('#streams').isVisible(), false);
    assert.deepEqual(visitor.complaints, []);
  });

  it('shows streams, records and errors, and goes on by itself', async () => {
    await platform.streams.define({ name: 'payments', partitions: 3 });
    await platform.streams.define({ name: 'alerts' });
    await emit('payments', [{ card: 'c1' }, { card: 'c2' }]);
    await emit('alerts', [{ card: 'c1', sum: 901 }]);
    await using visitor = await visit();
    const { page } = visitor;
    const row = page.locator('#streams tbody tr', { hasText: 'payments' });
    await row.locator('td', { hasText: /^2$/ }).waitFor();
    await page.locator('#records').getByText('"sum":901').waitFor();
    await emit('payments', [{ card: 'c3' }]);
    await emit('alerts', [{ card: 'c9', sum: 999 }]);
    await row.locator('[data-label="records"]', { hasText: /^3$/ }).waitFor();
    await page.locator('#records').getByText('"sum":999').waitFor();
    await row.getByRole('button').press('Enter');
    await page.locator('#records').getByText('"card":"c3"').waitFor();
    assert.equal(await page.locator('#pick').inputValue(), 'payments');
    assert.deepEqual(visitor.complaints, []);
  });

  it('asks nobody but this platform', async () => {
    await using visitor = await visit();
    await visitor.page.locator('#records li').first().waitFor();
    const elsewhere = visitor.requests.filter(
      (url) => !url.startsWith(platform.addresses.api!) && !url.startsWith('data:'),
    );
    assert.deepEqual(elsewhere, []);
  });

  it('shows hostile values and names as text', async () => {
    await platform.streams.define({ name: 'hostile' });
    await emit('hostile', [{ [HOSTILE]: HOSTILE }, HOSTILE]);
    signal('function.log', {
      ...{ app: 'a', fn: HOSTILE, invocationId: 'i', traceId: 't', level: 'error', timeMs: Date.now() },
      ...{ message: HOSTILE, attributes: { [HOSTILE]: HOSTILE } },
    } as const);
    signal('function.invoked', {
      ...{
        app: HOSTILE,
        fn: HOSTILE,
        version: HOSTILE,
        trigger: 'http',
        outcome: 'ok',
        durationMs: 5,
        records: 0,
      },
      ...{ cold: false, invocationId: 'i', traceId: 't' },
    } as const);
    await using visitor = await visit();
    const { page } = visitor;
    await page.locator('#pick').selectOption('hostile');
    await page.locator('#records').getByText('onerror').first().waitFor();
    await page.locator('#errors').getByText('onerror').first().waitFor();
    await page.locator('#functions').getByText('onerror').first().waitFor();
    assert.equal(await page.evaluate(() => 'hacked' in globalThis), false);
    assert.equal(await page.locator('main img').count(), 0);
    assert.deepEqual(visitor.complaints, []);
  });

  it('fits a phone, light and dark, without scrolling sideways', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await using visitor = await visit({ viewport: { width: 390, height: 844 }, colorScheme });
      await visitor.page.locator('#records li').first().waitFor();
      const width = await visitor.page.evaluate('document.documentElement.scrollWidth');
      assert.ok((width as number) <= 390, `${width} wide`);
      const background = await visitor.page.evaluate('getComputedStyle(document.body).backgroundColor');
      const brightness = Number(/\d+/.exec(background as string)?.[0]);
      assert.equal(brightness < 128, colorScheme === 'dark', String(background));
    }
  });

  it('keeps text readable: every colour of text at least 4.5 to 1 on its ground', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await using visitor = await visit({ colorScheme });
      const ratios = (await visitor.page.evaluate(CONTRASTS)) as readonly [string, number][];
      assert.ok(ratios.length >= 6);
      for (const [name, ratio] of ratios)
        assert.ok(ratio >= 4.5, `${colorScheme} ${name}: ${ratio.toFixed(2)}`);
    }
  });

  it('says so when the platform does not answer, and recovers', async () => {
    await using visitor = await visit();
    const { page } = visitor;
    await page.context().setOffline(true);
    await page.locator('#health', { hasText: 'no answer' }).waitFor();
    assert.equal(await page.locator('body.stale').count(), 1);
    await page.context().setOffline(false);
    await page.locator('#health', { hasText: 'running' }).waitFor();
    assert.equal(await page.locator('body.stale').count(), 0);
  });
});

/** WCAG 2.1 contrast of the page's colours on cards. */
const CONTRASTS = `(() => {
  const styles = getComputedStyle(document.documentElement);
  const light = (name) => {
    const hex = styles.getPropertyValue(name).trim().slice(1);
    const parts = [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255);
    const [r, g, b] = parts.map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return ['--text', '--quiet', '--accent', '--good', '--warn', '--bad'].flatMap((name) => ['--card', '--page'].map((ground) => {
    const [a, b] = [light(name), light(ground)].sort((x, y) => y - x);
    return [name + ' on ' + ground, (a + 0.05) / (b + 0.05)];
  }));
})()`;
