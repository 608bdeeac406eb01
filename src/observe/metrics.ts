import { onSignal } from '../kernel/index.ts';
import { createRegistry, type Registry } from './registry.ts';

/** What `/metrics` shows. It listens to signals; nobody calls it to count. */
export interface Metrics extends Disposable {
  /** The Prometheus text exposition, in pieces. */
  render(): Iterable<string>;
}

/** Seconds; from half a millisecond to ten seconds, in steps that tell a fast answer from a slow one. */
const DURATION_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Starts counting; disposing stops. `usage` reads the process: resident bytes, CPU seconds, uptime. */
export function createMetrics(
  usage: () => {
    readonly residentBytes: number;
    readonly cpuSeconds: number;
    readonly uptimeSeconds: number;
  },
): Metrics {
  const registry = createRegistry();
  const stops = [
    ...countHttp(registry),
    ...countKafka(registry),
    ...countLog(registry),
    ...countFunctions(registry),
  ];
  const refreshProcess = watchProcess(registry, usage);
  return {
    render() {
      refreshProcess();
      return registry.render();
    },
    [Symbol.dispose]() {
      for (const stop of stops) stop();
    },
  };
}

function countHttp(registry: Registry): (() => void)[] {
  const labels = ['door', 'route', 'method', 'status'];
  const requests = registry.counter('millrace_http_requests_total', 'Requests answered.', labels);
  const bytes = registry.counter('millrace_http_sent_bytes_total', 'Bytes sent to clients.', ['door']);
  const duration = registry.histogram(
    'millrace_http_request_duration_seconds',
    'From the headers of a request to the end of its answer.',
    ['door', 'route'],
    DURATION_BOUNDS,
  );
  return [
    onSignal('http.served', (served) => {
      requests.add([served.door, served.route, served.method, String(served.status)], 1);
      bytes.add([served.door], served.bytes);
      duration.observe([served.door, served.route], served.durationMs / 1000);
    }),
  ];
}

function countKafka(registry: Registry): (() => void)[] {
  const requests = registry.counter('millrace_kafka_requests_total', 'Requests of Kafka clients answered.', [
    'api',
  ]);
  const bytes = registry.counter('millrace_kafka_sent_bytes_total', 'Bytes sent to Kafka clients.', ['api']);
  const duration = registry.histogram(
    'millrace_kafka_request_duration_seconds',
    'From the beginning of a request to its answer, with what it asked to wait for.',
    ['api'],
    DURATION_BOUNDS,
  );
  return [
    onSignal('kafka.served', (served) => {
      requests.add([served.api], 1);
      bytes.add([served.api], served.bytes);
      duration.observe([served.api], served.durationMs / 1000);
    }),
  ];
}

function countLog(registry: Registry): (() => void)[] {
  const appended = registry.counter('millrace_stream_appended_records_total', 'Records appended.', [
    'stream',
  ]);
  const appendedBytes = registry.counter('millrace_stream_appended_bytes_total', 'Bytes appended.', [
    'stream',
  ]);
  const read = registry.counter('millrace_stream_read_records_total', 'Records read.', ['stream']);
  const readBytes = registry.counter('millrace_stream_read_bytes_total', 'Bytes read.', ['stream']);
  const sync = registry.histogram(
    'millrace_log_sync_duration_seconds',
    'How long one sync of the log took.',
    [],
    DURATION_BOUNDS,
  );
  const syncedBytes = registry.counter('millrace_log_synced_bytes_total', 'Bytes made durable.');
  const damages = registry.counter('millrace_log_damages_total', 'Damaged places found in the log.');
  const failures = registry.counter('millrace_log_failures_total', 'Failures of the disk under the log.', [
    'operation',
  ]);
  const lag = registry.gauge('millrace_group_lag_records', 'Records a group is behind.', [
    'group',
    'stream',
    'partition',
  ]);
  return [
    onSignal('stream.appended', ({ stream, records, bytes }) => {
      appended.add([stream], records);
      appendedBytes.add([stream], bytes);
    }),
    onSignal('stream.read', ({ stream, records, bytes }) => {
      read.add([stream], records);
      readBytes.add([stream], bytes);
    }),
    onSignal('log.synced', ({ bytes, durationMs }) => {
      sync.observe([], durationMs / 1000);
      syncedBytes.add([], bytes);
    }),
    onSignal('log.damaged', () => damages.add([], 1)),
    onSignal('log.failed', ({ operation }) => failures.add([operation], 1)),
    onSignal('group.lag', (entry) =>
      lag.set([entry.group, entry.stream, String(entry.partition)], entry.lag),
    ),
  ];
}

function countFunctions(registry: Registry): (() => void)[] {
  const labels = ['app', 'function', 'trigger', 'outcome'];
  const invoked = registry.counter('millrace_function_invocations_total', 'Invocations by outcome.', labels);
  const cold = registry.counter(
    'millrace_function_cold_starts_total',
    'Invocations that waited for a start.',
    ['app', 'function'],
  );
  const records = registry.counter('millrace_function_records_total', 'Records handled.', [
    'app',
    'function',
  ]);
  const instances = registry.gauge('millrace_function_instances', 'Instances that run.', ['app', 'function']);
  const dead = registry.counter('millrace_function_dead_letters_total', 'Records given up.', [
    'app',
    'function',
  ]);
  const duration = registry.histogram(
    'millrace_function_duration_seconds',
    'How long handlers took.',
    ['app', 'function'],
    DURATION_BOUNDS,
  );
  return [
    onSignal('function.invoked', (call) => {
      invoked.add([call.app, call.fn, call.trigger, call.outcome], 1);
      duration.observe([call.app, call.fn], call.durationMs / 1000);
      if (call.cold) cold.add([call.app, call.fn], 1);
      if (call.records > 0) records.add([call.app, call.fn], call.records);
    }),
    onSignal('function.scaled', ({ app, fn, to }) => instances.set([app, fn], to)),
    onSignal('function.deadLettered', ({ app, fn }) => dead.add([app, fn], 1)),
  ];
}

function watchProcess(
  registry: Registry,
  usage: () => {
    readonly residentBytes: number;
    readonly cpuSeconds: number;
    readonly uptimeSeconds: number;
  },
): () => void {
  const resident = registry.gauge('process_resident_memory_bytes', 'Resident memory.');
  const cpu = registry.counter('process_cpu_seconds_total', 'CPU time used.');
  const uptime = registry.gauge('process_uptime_seconds', 'Since the process started.');
  let cpuSeconds = 0;
  return () => {
    const now = usage();
    resident.set([], now.residentBytes);
    cpu.add([], now.cpuSeconds - cpuSeconds);
    cpuSeconds = now.cpuSeconds;
    uptime.set([], now.uptimeSeconds);
  };
}
