import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { startKafkaPort } from '../tests/support/kafka-port.ts';
import { bench, type Reading } from './lib/harness.ts';

/** What `lib/group-members.py` prints. */
interface Stalls {
  readonly quietMs: number;
  readonly othersMs: number;
  readonly takenOverMs: number;
}

const fileOf = (name: string): string => new URL(name, import.meta.url).pathname;

await bench({
  name: 'kafka-group-stall',
  question: 'One of ten members of a group leaves: how long do the partitions of the others stand still?',
  leavesOut:
    'members that are killed (they are noticed a session timeout later, and then it goes as here), eager assignors (which stop everybody), groups over a network; ten librdkafka consumers share one Python process, whose pauses count',
  run: async ({ short, say }) => {
    const installed = spawnSync(fileOf('../tests/conformance/confluent-kafka.sh'), { encoding: 'utf8' });
    if (installed.status !== 0) {
      say(`skipped: ${installed.stderr.trim()}`);
      return [];
    }
    const readings: Reading[] = [];
    await using port = await startKafkaPort();
    for (const [protocol, name] of [
      ['classic', 'cooperative'],
      ['consumer', 'KIP-848'],
    ] as const) {
      say(`ten members, ${name}`);
      const arguments_ = [fileOf('./lib/group-members.py'), port.bootstrap, protocol, short ? '4' : '10'];
      const { stdout } = await promisify(execFile)(installed.stdout.trim(), arguments_);
      const { quietMs, othersMs, takenOverMs } = JSON.parse(stdout) as Stalls;
      readings.push(
        { what: `${name}: longest gap before anybody leaves`, value: quietMs, unit: 'ms' },
        {
          what: `${name}: longest gap of the other members' partitions`,
          value: othersMs,
          unit: 'ms',
          reach: { atMost: 100 },
        },
        { what: `${name}: until the partitions of who left are read again`, value: takenOverMs, unit: 'ms' },
      );
    }
    return readings;
  },
});
