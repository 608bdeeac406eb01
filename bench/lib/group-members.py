"""Ten members of one consumer group (librdkafka), one of which leaves: how long do partitions of the others stand still?

group-members.py BROKER PROTOCOL SECONDS; prints one JSON line. See bench/kafka-group-stall.ts.
"""
import json
import sys
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

BROKER, PROTOCOL, SECONDS = sys.argv[1], sys.argv[2], float(sys.argv[3])
MEMBERS, PARTITIONS, EVERY_S = 10, 40, 0.02
TOPIC = GROUP = 'stall-' + PROTOCOL

admin = AdminClient({'bootstrap.servers': BROKER})  # must live until the answer is there
admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(20)
OPTIONS = {'bootstrap.servers': BROKER, 'group.id': GROUP, 'auto.offset.reset': 'latest', 'enable.auto.commit': True,
           'fetch.wait.max.ms': 50, 'group.protocol': PROTOCOL}
if PROTOCOL == 'classic':
    OPTIONS.update({'partition.assignment.strategy': 'cooperative-sticky', 'heartbeat.interval.ms': 500})

# Asked in the thread that polls: assignment() holds Python's lock while it waits for what poll() has to do.
owned = [[] for _ in range(MEMBERS)]
arrivals = [[] for _ in range(PARTITIONS)]
stopping = threading.Event()
leaving = threading.Event()
consumers = [Consumer(OPTIONS) for _ in range(MEMBERS)]


def consume(index):
    consumer = consumers[index]
    consumer.subscribe([TOPIC])
    asked = 0.0
    while not stopping.is_set() and not (index == 0 and leaving.is_set()):
        message = consumer.poll(0.05)
        if message is not None and not message.error():
            arrivals[message.partition()].append(time.monotonic())
        if time.monotonic() - asked > 0.5:
            owned[index] = [one.partition for one in consumer.assignment()]
            asked = time.monotonic()
    consumer.close()


def produce():
    producer = Producer({'bootstrap.servers': BROKER, 'linger.ms': 0})
    due = time.monotonic()
    while not stopping.is_set():
        for partition in range(PARTITIONS):
            producer.produce(TOPIC, b'x', partition=partition)
        producer.poll(0)
        due += EVERY_S
        time.sleep(max(0, due - time.monotonic()))
    producer.flush(5)


threads = [threading.Thread(target=consume, args=[index], daemon=True) for index in range(MEMBERS)]
threads.append(threading.Thread(target=produce, daemon=True))
for thread in threads:
    thread.start()

end = time.monotonic() + 90
while any(len(partitions) != PARTITIONS // MEMBERS for partitions in owned):
    if time.monotonic() > end:
        sys.exit('the group did not settle: %s' % [len(partitions) for partitions in owned])
    time.sleep(0.2)
time.sleep(2)


def gaps(partitions, since, until):
    """The longest time without a record, in ms, over these partitions."""
    longest = 0
    for partition in partitions:
        times = [since] + [one for one in arrivals[partition] if since <= one <= until] + [until]
        longest = max(longest, max(b - a for a, b in zip(times, times[1:])))
    return longest * 1000


affected = set(owned[0])
others = set(range(PARTITIONS)) - affected
quiet = time.monotonic()
time.sleep(SECONDS)
left = time.monotonic()
leaving.set()
time.sleep(SECONDS)
over = time.monotonic()
stopping.set()
for thread in threads:
    thread.join()
print(json.dumps({'quietMs': gaps(others, quiet, left), 'othersMs': gaps(others, left, over),
                  'takenOverMs': gaps(affected, left, over)}))
