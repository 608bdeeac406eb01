/** Label values in the order of the family's label names. */
type Labels = readonly string[];

export interface Counter {
  add(labels: Labels, amount: number): void;
}

export interface Gauge {
  set(labels: Labels, value: number): void;
}

export interface Histogram {
  observe(labels: Labels, value: number): void;
}

/** Counters, gauges and histograms by name, rendered in the Prometheus text format 0.0.4. */
export interface Registry {
  counter(name: string, help: string, labels?: Labels): Counter;
  gauge(name: string, help: string, labels?: Labels): Gauge;
  /** `bounds` are the upper bounds of the buckets, ascending; one without a bound is added. */
  histogram(name: string, help: string, labels: Labels, bounds: readonly number[]): Histogram;
  /** The exposition in pieces of a few kilobytes. */
  render(): Iterable<string>;
}

/** Label sets that one family may hold; what comes beyond is counted under `other`. */
const MOST_SERIES = 10_000;
const PIECE_CHARACTERS = 16 * 1024;

interface Series {
  readonly labels: string;
  value: number;
  /** Histograms: counts per bucket, the last without a bound. */
  readonly buckets: Float64Array | undefined;
  count: number;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labelNames: Labels;
  readonly bounds: readonly number[];
  readonly series: Map<string, Series>;
  /** What was found last: mostly the next is the same, and joining labels to a key costs more than all the rest. */
  last: { readonly values: Labels; readonly series: Series } | undefined;
}

export function createRegistry(): Registry {
  const families: Family[] = [];

  const add = (
    type: Family['type'],
    name: string,
    help: string,
    labelNames: Labels,
    bounds: readonly number[],
  ): Family => {
    const series = new Map<string, Series>();
    const family: Family = { type, name, help, labelNames, bounds, series, last: undefined };
    families.push(family);
    return family;
  };

  return {
    counter(name, help, labels = []) {
      const family = add('counter', name, help, labels, []);
      return {
        add: (values, amount) => {
          seriesOf(family, values).value += amount;
        },
      };
    },
    gauge(name, help, labels = []) {
      const family = add('gauge', name, help, labels, []);
      return {
        set: (values, value) => {
          seriesOf(family, values).value = value;
        },
      };
    },
    histogram(name, help, labels, bounds) {
      const family = add('histogram', name, help, labels, bounds);
      return { observe: (values, value) => observe(family, values, value) };
    },
    *render() {
      let piece = '';
      for (const line of linesOf(families)) {
        piece += line;
        if (piece.length < PIECE_CHARACTERS) continue;
        yield piece;
        piece = '';
      }
      if (piece !== '') yield piece;
    },
  };
}

function seriesOf(family: Family, values: Labels): Series {
  const { last } = family;
  if (last && isSame(last.values, values)) return last.series;
  const series = findSeries(family, values);
  family.last = { values, series };
  return series;
}

function isSame(left: Labels, right: Labels): boolean {
  for (let index = 0; index < right.length; index++) if (left[index] !== right[index]) return false;
  return left.length === right.length;
}

function findSeries(family: Family, values: Labels): Series {
  const key = values.length === 1 ? values[0]! : values.join('\u0000');
  const found = family.series.get(key);
  if (found) return found;
  if (family.series.size >= MOST_SERIES && values.some((value) => value !== 'other')) {
    return findSeries(
      family,
      values.map(() => 'other'),
    );
  }
  const labels = family.labelNames.map((name, index) => `${name}="${escapeLabel(values[index] ?? '')}"`);
  const series: Series = {
    labels: labels.join(','),
    value: 0,
    count: 0,
    buckets: family.type === 'histogram' ? new Float64Array(family.bounds.length + 1) : undefined,
  };
  family.series.set(key, series);
  return series;
}

function observe(family: Family, values: Labels, value: number): void {
  const series = seriesOf(family, values);
  let bucket = 0;
  while (bucket < family.bounds.length && value > family.bounds[bucket]!) bucket++;
  series.buckets![bucket]!++;
  series.value += value;
  series.count++;
}

function* linesOf(families: readonly Family[]): Iterable<string> {
  for (const family of families) {
    if (family.series.size === 0) continue;
    yield `# HELP ${family.name} ${escapeHelp(family.help)}\n# TYPE ${family.name} ${family.type}\n`;
    for (const series of family.series.values()) {
      yield series.buckets
        ? histogramLines(family, series)
        : sample(family.name, series.labels, series.value);
    }
  }
}

/** Buckets are cumulative in the exposition. */
function histogramLines(family: Family, series: Series): string {
  let text = '';
  let total = 0;
  const comma = series.labels === '' ? '' : ',';
  for (const [index, count] of series.buckets!.entries()) {
    total += count;
    const bound = index < family.bounds.length ? String(family.bounds[index]) : '+Inf';
    text += sample(`${family.name}_bucket`, `${series.labels}${comma}le="${bound}"`, total);
  }
  text += sample(`${family.name}_sum`, series.labels, series.value);
  return text + sample(`${family.name}_count`, series.labels, series.count);
}

function sample(name: string, labels: string, value: number): string {
  return labels === '' ? `${name} ${value}\n` : `${name}{${labels}} ${value}\n`;
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
