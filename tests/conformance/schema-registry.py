"""Confluent's client for Python against a platform: registry, serialisers, produced and consumed records.

Words: address of the API port, address of the Kafka port. Prints one JSON document of what came back.
"""

import json
import sys

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

api, bootstrap = sys.argv[1:3]
admin = AdminClient({'bootstrap.servers': bootstrap})
registry = SchemaRegistryClient({'url': api})
found = {}

AVRO = json.dumps({'type': 'record', 'name': 'Order', 'fields': [{'name': 'id', 'type': 'string'}]})
AVRO_2 = json.dumps({
    'type': 'record',
    'name': 'Order',
    'fields': [{'name': 'id', 'type': 'string'}, {'name': 'sum', 'type': 'double', 'default': 0}],
})
JSON = json.dumps({
    '$schema': 'http://json-schema.org/draft-07/schema#',
    'title': 'Order',
    'type': 'object',
    'properties': {'id': {'type': 'string'}},
    'required': ['id'],
    'additionalProperties': False,
})


def protobuf_class():
    file = descriptor_pb2.FileDescriptorProto(name='order.proto', package='shop', syntax='proto3')
    message = file.message_type.add(name='Order')
    message.field.add(name='id', number=1, type=9, label=1)
    message.field.add(name='sums', number=2, type=1, label=3)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName('shop.Order'))


Order = protobuf_class()


def error_of(work):
    try:
        work()
    except SchemaRegistryError as error:
        return [error.http_status_code, error.error_code]
    return None


def delivered(topic, value, key=None):
    outcome = []
    producer = Producer({'bootstrap.servers': bootstrap, 'enable.idempotence': False, 'message.timeout.ms': 20000})
    producer.produce(topic, value=value, key=key, on_delivery=lambda error, message: outcome.append(error))
    producer.flush(30)
    return None if outcome[0] is None else outcome[0].name()


def consumed(topic, count):
    consumer = Consumer({'bootstrap.servers': bootstrap, 'group.id': f'{topic}-readers', 'auto.offset.reset': 'earliest'})
    consumer.subscribe([topic])
    values = []
    while len(values) < count:
        message = consumer.poll(20)
        if message is None or message.error():
            raise KafkaException(message.error() if message else 'nothing came')
        values.append(message.value())
    consumer.close()
    return values


def round_trip(topic, serializer, deserializer, value):
    admin.create_topics([NewTopic(topic, 1)])[topic].result(20)
    context = SerializationContext(topic, MessageField.VALUE)
    assert delivered(topic, serializer(value, context)) is None
    return deserializer(consumed(topic, 1)[0], context)


order = {'id': 'a'}
found['avro'] = round_trip('avro', AvroSerializer(registry, AVRO), AvroDeserializer(registry), order)
found['json'] = round_trip('json', JSONSerializer(JSON, registry), JSONDeserializer(JSON, schema_registry_client=registry), order)
protobuf = round_trip(
    'protobuf',
    ProtobufSerializer(Order, registry),
    ProtobufDeserializer(Order, {}, schema_registry_client=registry),
    Order(id='a', sums=[1.5, 2]),
)
found['protobuf'] = {'id': protobuf.id, 'sums': list(protobuf.sums)}

found['subjects'] = sorted(registry.get_subjects())
latest = registry.get_latest_version('avro-value')
found['latest'] = [latest.subject, latest.version, json.loads(latest.schema.schema_str)['name']]
found['compatible'] = [
    registry.test_compatibility('avro-value', Schema(AVRO_2, 'AVRO')),
    registry.test_compatibility('avro-value', Schema('"int"', 'AVRO')),
]
second = registry.register_schema('avro-value', Schema(AVRO_2, 'AVRO'))
found['versions'] = registry.get_versions('avro-value')
found['lookup'] = registry.lookup_schema('avro-value', Schema(AVRO_2, 'AVRO')).schema_id == second
found['incompatible'] = error_of(lambda: registry.register_schema('avro-value', Schema('"int"', 'AVRO')))
found['unknown'] = error_of(lambda: registry.get_latest_version('nobody'))
lines = Schema('{"type":"array","items":"Order"}', 'AVRO', [SchemaReference('Order', 'avro-value', 1)])
registry.register_schema('lines-value', lines)
found['references'] = [reference.subject for reference in registry.get_latest_version('lines-value').schema.references]
registry.set_compatibility('lines-value', 'FULL')
found['level'] = registry.get_compatibility('lines-value')
found['deleted'] = registry.delete_subject('lines-value')

# A stream with a schema: its subject is there, and what does not fit is refused.
context = SerializationContext('payments', MessageField.VALUE)
use = {'auto.register.schemas': False, 'use.latest.version': True}
serializer = JSONSerializer(registry.get_latest_version('payments-value').schema, registry, conf=use)
found['payments'] = [
    delivered('payments', serializer({'card': 'x'}, context), key='x'),
    delivered('payments', b'{"card":"y"}', key='y'),
    delivered('payments', b'{"card":1}', key='1'),
    delivered('payments', b'{"card":"z"}', key='other'),
    delivered('payments', b'no json', key='z'),
]
print(json.dumps(found))
