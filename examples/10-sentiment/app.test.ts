import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testApp } from 'millrace/testing';
import { train } from './train.ts';

test('a review is told to be praise or complaint, whatever the words around "not"', async () => {
  await using app = await testApp(import('./app.ts'));
  const ask = async (text: string): Promise<{ sentiment: string; confidence: number }> => {
    const headers = { 'content-type': 'application/json' };
    const answer = await app.fetch('/sentiment', { method: 'POST', headers, body: JSON.stringify({ text }) });
    assert.equal(answer.status, 200);
    return (await answer.json()) as { sentiment: string; confidence: number };
  };
  const reviews = {
    'The soup was wonderful, made my day!': 'positive',
    'the phone is broken. Never again': 'negative',
    'Honestly, the delivery was not slow at all': 'positive',
    'their service seemed not helpful at all': 'negative',
  };
  for (const [text, expected] of Object.entries(reviews)) {
    const { sentiment, confidence } = await ask(text);
    assert.equal(sentiment, expected, text);
    assert.ok(confidence > 0.6 && confidence <= 1, `${text}: ${confidence}`);
  }
  const bad = await app.fetch('/sentiment', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"text":""}',
  });
  assert.equal(bad.status, 422);
});

test('its training script makes a model that knows reviews it has not seen', () => {
  const { metrics, rows } = train();
  assert.equal(rows.heldBack, 600);
  assert.ok(metrics.accuracy! > 0.97, JSON.stringify(metrics));
});
