import {
  createSearchIndex,
  parseMetricCondition,
  type VersionQuery,
  type VersionRecord,
} from '../src/models/index.ts';
import { bench } from './lib/harness.ts';

const VERSIONS = 100_000;
const TEAMS = ['fraud', 'churn', 'pricing', 'search', 'ads', 'returns', 'support', 'logistics'];

await bench({
  name: 'model-search',
  question: 'How long does a search take among 100,000 versions of models, by words, tags and metrics?',
  leavesOut:
    'HTTP and JSON; reading the index from the store after a start, which the first search waits for',
  async run({ short, say }) {
    const index = createSearchIndex();
    say(`${VERSIONS} versions of 1,000 models`);
    const startMs = performance.now();
    for (let number = 0; number < VERSIONS; number++) index.add(version(number));
    const builtMs = performance.now() - startMs;
    const queries = queriesOf(short ? 200 : 2000);
    for (const query of queries.slice(0, 50)) index.find(query);
    const times: number[] = [];
    for (const query of queries) {
      const sinceMs = performance.now();
      index.find(query);
      times.push(performance.now() - sinceMs);
    }
    times.sort((a, b) => a - b);
    return [
      { what: 'building the index', value: builtMs, unit: 'ms' },
      { what: 'memory of the process', value: process.memoryUsage.rss() / 1024 ** 2, unit: 'MB' },
      { what: 'median', value: times[times.length >> 1]!, unit: 'ms' },
      { what: 'p99', value: times[Math.floor(times.length * 0.99)]!, unit: 'ms', reach: { atMost: 10 } },
      { what: 'longest', value: times.at(-1)!, unit: 'ms' },
    ];
  },
});

function version(number: number): VersionRecord {
  const model = `model-${number % 1000}`;
  return {
    model,
    version: number.toString(16).padStart(16, '0'),
    number: Math.floor(number / 1000) + 1,
    sha256: '',
    bytes: 0,
    createdMs: number,
    by: `app-${number % 50}@${number.toString(16)}`,
    serving: { missing: false, batch: { size: 256, waitMs: 0 }, cache: null },
    inputs: [],
    outputs: [],
    metrics: { auc: ((number * 7919) % 10_000) / 10_000, loss: (number % 97) / 97 },
    tags: {
      team: TEAMS[number % TEAMS.length]!,
      region: `r${number % 13}`,
      stage: number % 100 === 0 ? 'gold' : 'plain',
    },
    lineage: {},
    card: `Trees for ${TEAMS[(number + 3) % TEAMS.length]} in quarter ${number % 4} with ${number % 300} features.`,
    facts: {},
  };
}

/** By words (prefixes too), tags, metrics, model, and all of them together; some find nothing. */
function queriesOf(count: number): VersionQuery[] {
  return Array.from({ length: count }, (_, at): VersionQuery => {
    const team = TEAMS[at % TEAMS.length]!;
    const metrics = [parseMetricCondition(`auc>=${0.9 + (at % 10) / 100}`)];
    switch (at % 7) {
      case 0:
        return { text: `${team} quarter` };
      case 1:
        return { text: `model ${team.slice(0, 3)}`, metrics };
      case 2:
        return {
          tags: [
            ['team', team],
            ['stage', 'gold'],
          ],
          metrics,
        };
      case 3:
        return { model: `model-${at % 1000}`, metrics };
      case 4:
        return { metrics: [parseMetricCondition('auc>2')] };
      case 5:
        return { text: 'nowhere', tags: [['team', team]] };
      default:
        return { text: `app-${at % 50} feat`, tags: [['region', `r${at % 13}`]], limit: 200 };
    }
  });
}
