"""What confluent-kafka for Python (librdkafka) does with the Kafka port. Prints one JSON line a case; see confluent-kafka.test.ts."""
import json
import sys
import threading
import time

from confluent_kafka import Consumer, ConsumerGroupType, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient,
                                   NewPartitions, NewTopic, ResourcePatternType, ResourceType)
from confluent_kafka import ConsumerGroupTopicPartitions, ConsumerGroupState

BROKER = sys.argv[1]
admin = AdminClient({'bootstrap.servers': BROKER})


def make_topic(name, partitions=1):
    for future in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        future.result(10)
    return name


def produce(topic, values, **options):
    producer = Producer({'bootstrap.servers': BROKER, **options})
    for value in values:
        producer.produce(topic, key=value, value=value)
    assert producer.flush(20) == 0


def consumer_of(group, topic, **options):
    consumer = Consumer({'bootstrap.servers': BROKER, 'group.id': group, 'auto.offset.reset': 'earliest',
                         'enable.auto.commit': False, **options})
    consumer.subscribe([topic] if isinstance(topic, str) else topic)
    return consumer


def read(consumer, count, seconds=20):
    values = []
    end = time.monotonic() + seconds
    while len(values) < count and time.monotonic() < end:
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        values.append(message.value().decode())
    return values


def idempotent_and_compressed():
    for codec in ['none', 'gzip', 'snappy', 'lz4', 'zstd']:
        topic = make_topic('codec-' + codec)
        values = ['%s %d' % (codec, index) for index in range(200)]
        produce(topic, values, **{'enable.idempotence': True, 'compression.type': codec})
        consumer = consumer_of('codec-' + codec, topic)
        assert read(consumer, 200) == values
        consumer.close()


def group(protocol):
    topic = make_topic('group-' + protocol, 4)
    values = ['v%03d' % index for index in range(100)]
    produce(topic, values)
    first = consumer_of('group-' + protocol, topic, **{'group.protocol': protocol})
    assert sorted(read(first, 100)) == values
    first.commit(asynchronous=False, offsets=[TopicPartition(topic, 0, 7, metadata='noted')])
    committed = first.committed([TopicPartition(topic, 0)], timeout=10)[0]
    assert (committed.offset, committed.metadata) == (7, 'noted'), committed
    first.commit(asynchronous=False)
    second = consumer_of('group-' + protocol, topic, **{'group.protocol': protocol})
    end = time.monotonic() + 20
    while time.monotonic() < end and not (len(first.assignment()) == len(second.assignment()) == 2):
        first.poll(0.1)
        second.poll(0.1)
    assert len(first.assignment()) == len(second.assignment()) == 2
    first.close()
    produce(topic, values)
    again = set()  # what it read before it heard of the rebalance comes again: nothing was committed
    while time.monotonic() < end and len(again) < 100:
        again.update(read(second, 1, 1))
    assert sorted(again) == values, len(again)
    described = admin.describe_consumer_groups(['group-' + protocol])['group-' + protocol].result(10)
    assert described.state == ConsumerGroupState.STABLE and len(described.members) == 1
    second.close()


def cooperative():
    topic = make_topic('cooperative', 6)
    options = {'partition.assignment.strategy': 'cooperative-sticky'}
    first = consumer_of('cooperative', topic, **options)
    while len(first.assignment()) < 6:
        first.poll(0.1)
    second = consumer_of('cooperative', topic, **options)
    end = time.monotonic() + 20
    fewest = 6
    while time.monotonic() < end and len(second.assignment()) < 3:
        first.poll(0.1)
        second.poll(0.1)
        fewest = min(fewest, len(first.assignment()))
    assert len(second.assignment()) == 3 and fewest == 3, 'the first kept what it was to keep throughout'
    first.close()
    second.close()


def regular_expression(protocol):
    for name in ['regex-%s-a' % protocol, 'regex-%s-b' % protocol]:
        produce(make_topic(name), [name])
    consumer = consumer_of('regex-' + protocol, '^regex-%s-.*' % protocol,
                           **{'group.protocol': protocol, 'topic.metadata.refresh.interval.ms': 1000})
    assert sorted(read(consumer, 2)) == ['regex-%s-a' % protocol, 'regex-%s-b' % protocol]
    consumer.commit(asynchronous=False)
    produce(make_topic('regex-%s-c' % protocol), ['later'])
    assert read(consumer, 1) == ['later']
    consumer.close()


def packed_by_the_topic():
    values = ['%d %s' % (index, 'payment of card ' * 20) for index in range(2000)]
    for codec in ['uncompressed', 'gzip', 'snappy', 'lz4', 'zstd']:
        topic = 'packed-' + codec
        for future in admin.create_topics([NewTopic(topic, 1, 1, config={'compression.type': codec})]).values():
            future.result(10)
        produce(topic, values, **{'enable.idempotence': True, 'compression.type': 'zstd' if codec == 'uncompressed' else 'none'})
        consumer = consumer_of(topic, topic, **{'check.crcs': True})
        assert read(consumer, 2000) == values
        consumer.close()


class Worker:
    """A member on a thread of its own that commits what it reads."""

    def __init__(self, group, topic, seen, **options):
        self.consumer = consumer_of(group, topic, **options)
        self.seen = seen
        self.share = []
        self.ending = False
        self.failure = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.ending:
                for message in self.consumer.consume(100, 0.1):
                    if message.error():
                        raise KafkaException(message.error())
                    self.seen.append((message.partition(), message.offset()))
                    self.commit(message)
                self.share = [one.partition for one in self.consumer.assignment()]
            self.consumer.close()
        except Exception as error:
            self.failure = error

    def commit(self, message):
        try:
            self.consumer.commit(message, asynchronous=False)
        except KafkaException as error:  # the partition is somebody else's by now, who reads it again
            if error.args[0].code() not in (KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS,
                                            KafkaError.STALE_MEMBER_EPOCH, KafkaError.UNKNOWN_MEMBER_ID):
                raise

    def stop(self):
        self.ending = True
        self.thread.join(20)
        if self.failure:
            raise self.failure


def group_type(group):
    listed = admin.list_consumer_groups().result(10).valid
    return next(one.type for one in listed if one.group_id == group)


def migration(strategy, static):
    group = 'migration-%s%s' % (strategy, '-static' if static else '')
    topic = make_topic(group, 6)
    producer = Producer({'bootstrap.servers': BROKER, 'linger.ms': 5})
    seen = []
    members = {}

    def start(index, **options):
        if static:
            options['group.instance.id'] = 'instance-%d' % index
        members[index] = Worker(group, topic, seen, **options)

    def classic(index):
        # A static member that left is expected back until its session ends.
        start(index, **{'partition.assignment.strategy': strategy, 'session.timeout.ms': 6000, 'heartbeat.interval.ms': 500})

    def newer(index):
        start(index, **{'group.protocol': 'consumer'})

    def settle(what):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            producer.produce(topic, 'x')
            producer.poll(0)
            shares = [member.share for member in members.values()]
            if sorted(sum(shares, [])) == list(range(6)) and all(len(share) == 2 for share in shares):
                return
            time.sleep(0.02)
        raise AssertionError('%s: it does not settle: %s' % (what, shares))

    try:
        for index in range(3):
            classic(index)
        settle('classic')
        assert group_type(group) == ConsumerGroupType.CLASSIC
        for index in range(3):
            members.pop(index).stop()
            newer(index)
            settle('upgrade %d' % index)
            assert group_type(group) == ConsumerGroupType.CONSUMER, index
        for index in range(3):
            members.pop(index).stop()
            classic(index)
            settle('downgrade %d' % index)
            assert group_type(group) == (ConsumerGroupType.CLASSIC if index == 2 else ConsumerGroupType.CONSUMER), index
        assert producer.flush(10) == 0
        watch = consumer_of(group + '-watch', topic)
        ends = {index: watch.get_watermark_offsets(TopicPartition(topic, index), timeout=10)[1] for index in range(6)}
        watch.close()
        written = {(partition, offset) for partition, end in ends.items() for offset in range(end)}
        end = time.monotonic() + 20
        while time.monotonic() < end and set(seen) != written:
            time.sleep(0.1)
        assert set(seen) == written, 'lost: %s' % sorted(written - set(seen))[:10]
    finally:
        for member in members.values():
            member.stop()


def static_members():
    topic = make_topic('static', 2)
    options = {'group.instance.id': 'one', 'session.timeout.ms': 10000}
    first = consumer_of('static', topic, **options)
    while len(first.assignment()) < 2:
        first.poll(0.1)
    first.close()
    again = consumer_of('static', topic, **options)
    begun = time.monotonic()
    while len(again.assignment()) < 2:
        again.poll(0.1)
    assert time.monotonic() - begun < 9, 'it had to wait for its former session to end'
    again.close()


def transactions():
    source, target = make_topic('tx-in'), make_topic('tx-out')
    produce(source, ['a', 'b', 'c'])
    producer = Producer({'bootstrap.servers': BROKER, 'transactional.id': 'tx', 'transaction.timeout.ms': 20000})
    producer.init_transactions(10)
    consumer = consumer_of('tx', source)
    for value in read(consumer, 3):
        producer.begin_transaction()
        producer.produce(target, value.upper())
        producer.send_offsets_to_transaction(consumer.position(consumer.assignment()),
                                             consumer.consumer_group_metadata(), 10)
        if value == 'b':
            producer.abort_transaction(10)
        else:
            producer.commit_transaction(10)
    assert consumer.committed([TopicPartition(source, 0)], timeout=10)[0].offset == 3
    consumer.close()
    reader = consumer_of('tx-reader', target, **{'isolation.level': 'read_committed'})
    assert read(reader, 3, 3) == ['A', 'C']
    reader.close()
    successor = Producer({'bootstrap.servers': BROKER, 'transactional.id': 'tx'})
    producer.begin_transaction()
    producer.produce(target, 'zombie')
    producer.flush(10)
    successor.init_transactions(10)
    try:
        producer.commit_transaction(10)
        raise AssertionError('a producer that was taken over could commit')
    except KafkaException as error:
        assert error.args[0].fatal(), error
    low, high = consumer_of('tx-watermarks', target).get_watermark_offsets(TopicPartition(target, 0), timeout=10)
    assert high > 0 and low == 0


def transaction_timeout():
    topic = make_topic('tx-timeout')
    producer = Producer({'bootstrap.servers': BROKER, 'transactional.id': 'tx-timeout', 'transaction.timeout.ms': 1000})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(topic, 'never')
    producer.flush(10)
    produce(topic, ['after'])
    reader = consumer_of('tx-timeout', topic, **{'isolation.level': 'read_committed'})
    assert read(reader, 1) == ['after'], 'an abandoned transaction holds readers back for ever'
    reader.close()
    try:
        producer.commit_transaction(10)
        raise AssertionError('a transaction could commit after its time')
    except KafkaException:
        pass


def administration():
    topic = make_topic('admin', 2)
    produce(topic, ['x'])
    consumer = consumer_of('admin', topic)
    assert read(consumer, 1) == ['x']
    consumer.commit(asynchronous=False)
    consumer.close()
    groups = admin.list_consumer_groups().result(10)
    assert 'admin' in [one.group_id for one in groups.valid]
    wanted = ConsumerGroupTopicPartitions('admin', [TopicPartition(topic, 0, 0), TopicPartition(topic, 1, 0)])
    for future in admin.alter_consumer_group_offsets([wanted]).values():
        future.result(10)
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions('admin')])['admin'].result(10)
    assert [one.offset for one in found.topic_partitions] == [0, 0]
    for future in admin.delete_consumer_groups(['admin']).values():
        future.result(10)
    for future in admin.create_partitions([NewPartitions(topic, 3)]).values():
        future.result(10)
    assert len(admin.list_topics(topic, timeout=10).topics[topic].partitions) == 3


def acls():
    binding = AclBinding(ResourceType.TOPIC, 'secret.', ResourcePatternType.PREFIXED, 'User:ann', '*',
                         AclOperation.READ, AclPermissionType.ALLOW)
    for future in admin.create_acls([binding]).values():
        future.result(10)
    everything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None,
                                  AclOperation.ANY, AclPermissionType.ANY)
    assert admin.describe_acls(everything).result(10) == [binding]
    assert list(admin.delete_acls([everything]).values())[0].result(10) == [binding]
    assert admin.describe_acls(everything).result(10) == []


CASES = {
    'sends idempotently with every compression': idempotent_and_compressed,
    'reads what the topic had packed anew': packed_by_the_topic,
    'reads in a group of the classic protocol, and takes over': lambda: group('classic'),
    'reads in a group of the newer protocol, and takes over': lambda: group('consumer'),
    'rebalances cooperatively': cooperative,
    'subscribes by a regular expression, classic': lambda: regular_expression('classic'),
    'subscribes by a regular expression, newer protocol': lambda: regular_expression('consumer'),
    'moves from the classic protocol to the newer one and back, member by member': lambda: migration('range', False),
    'moves with cooperative members': lambda: migration('cooperative-sticky', False),
    'moves with static members': lambda: migration('range', True),
    'comes back as a static member': static_members,
    'reads, transforms and writes in transactions, and is fenced': transactions,
    'has its abandoned transaction aborted': transaction_timeout,
    'administers groups and topics': administration,
    'keeps access control lists': acls,
}

for name, case in CASES.items():
    if len(sys.argv) > 2 and sys.argv[2] not in name:
        continue
    begun = time.monotonic()
    try:
        case()
        print(json.dumps({'name': name, 'seconds': round(time.monotonic() - begun, 1)}), flush=True)
    except Exception as error:  # told as the result of the case
        print(json.dumps({'name': name, 'error': '%s: %s' % (type(error).__name__, error)}), flush=True)
