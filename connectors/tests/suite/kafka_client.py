"""What tests do to a broker, by a client that shares no code with Headwater. Steps come as JSON lines; each is answered by one line."""
import base64, io, json, struct, sys, threading, time
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType, AdminClient, NewPartitions, NewTopic,
                                   ResourcePatternType, ResourceType)

bootstrap = sys.argv[1]
admin = AdminClient({"bootstrap.servers": bootstrap})
plain = Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "message.max.bytes": 20_000_000, "queue.buffering.max.messages": 1_000_000})
transaction = None
touched = set()
floods = []


def done(futures):
    for future in futures.values():
        future.result(30)


def avro(message):
    """A record behind a zero and its schema's id, as serializers of schema registries write it."""
    import fastavro
    out = io.BytesIO()
    out.write(struct.pack(">bI", 0, message["id"]))
    fastavro.schemaless_writer(out, fastavro.parse_schema(message["schema"]), message["record"])
    return out.getvalue()


clients = {}
classes = {}
serializers = {}


def registry(url):
    from confluent_kafka.schema_registry import SchemaRegistryClient
    if url not in clients:
        clients[url] = SchemaRegistryClient({"url": url})
    return clients[url]


def message_class(files, name):
    """The class of a message type, compiled by Google's compiler from .proto files; the last one has it."""
    import os, tempfile, grpc_tools
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from grpc_tools import protoc
    key = json.dumps(files)
    if key not in classes:
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
                with open(os.path.join(folder, path), "w") as file:
                    file.write(text)
            out, known = os.path.join(folder, "all.bin"), os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
            if protoc.main(["protoc", "-I" + folder, "-I" + known, "--include_imports", "-o" + out, list(files)[-1]]):
                raise RuntimeError("protoc refused the files")
            with open(out, "rb") as file:
                found = descriptor_pb2.FileDescriptorSet.FromString(file.read())
        pool = descriptor_pool.DescriptorPool()
        for file in found.file:
            pool.Add(file)
        classes[key] = pool
    return message_factory.GetMessageClass(classes[key].FindMessageTypeByName(name))


def serializer(spec, topic):
    """Confluent's own serializer of a schema for a topic, which registers it."""
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.schema_registry.json_schema import JSONSerializer
    from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
    key = json.dumps([topic, spec])
    if key not in serializers:
        client = registry(spec["registry"])
        if "files" in spec:
            kind = message_class(spec["files"], spec["type"])
            serializers[key] = ProtobufSerializer(kind, client, {"use.deprecated.format": False})
        elif spec["language"] == "avro":
            serializers[key] = AvroSerializer(client, json.dumps(spec["schema"]))
        else:
            # Values are not judged here: some are to be refused where they are read.
            serializers[key] = JSONSerializer(json.dumps(spec["schema"]), client, conf={"validate": False})
    return serializers[key]


def serialized(message, topic):
    from confluent_kafka.serialization import MessageField, SerializationContext
    from google.protobuf import json_format
    spec, record = {name: part for name, part in message.items() if name != "record"}, message["record"]
    if "files" in spec:
        record = json_format.ParseDict(record, message_class(spec["files"], spec["type"])())
    if "place" in spec:
        # Its file was registered as a text, which the serializer does not do.
        id = registry(spec["registry"]).get_latest_version(topic + "-value").schema_id
        return struct.pack(">bI", 0, id) + bytes(spec["place"]) + record.SerializeToString()
    return serializer(spec, topic)(record, SerializationContext(topic, MessageField.VALUE))


def register(step):
    """Registers a schema as it is written."""
    from confluent_kafka.schema_registry import Schema, SchemaReference
    references = [SchemaReference(each["name"], each["subject"], each["version"]) for each in step.get("references", [])]
    registry(step["registry"]).register_schema(step["subject"], Schema(step["schema"], step["language"], references))


def value(message, name, topic):
    if name + "_registry" in message:
        return serialized(message[name + "_registry"], topic)
    if name + "_avro" in message:
        return avro(message[name + "_avro"])
    if name + "_base64" in message:
        return base64.b64decode(message[name + "_base64"])
    return message[name].encode() if message.get(name) is not None else None


def settle():
    """Waits until the brokers have written what ends a transaction: a commit is answered before that."""
    ends = [Consumer({"bootstrap.servers": bootstrap, "group.id": "settle", "isolation.level": level}) for level in ("read_committed", "read_uncommitted")]
    while touched:
        place = touched.pop()
        while len({consumer.get_watermark_offsets(TopicPartition(*place), timeout=10)[1] for consumer in ends}) > 1:
            time.sleep(0.02)
    for consumer in ends:
        consumer.close()


def send(step):
    producer = transaction or plain
    if "codec" in step:
        producer = Producer({"bootstrap.servers": bootstrap, "compression.type": step["codec"]})
    if transaction:
        touched.add((step["topic"], step.get("partition", 0)))
    failed = []
    for message in step["messages"]:
        headers = [(key, text if text is None else text.encode("latin-1")) for key, text in message.get("headers", [])]
        while True:
            try:
                producer.produce(step["topic"], value(message, "value", step["topic"]), value(message, "key", step["topic"]), step.get("partition", 0),
                                 on_delivery=lambda error, _: error and failed.append(str(error)), headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush(60)
    if failed:
        raise RuntimeError(failed[0])


def fill(step):
    """Messages of a size, dealt out to the partitions, numbered from `first` on."""
    pad = "x" * max(0, step.get("size", 0))
    count, partitions = step["count"], step["partitions"]
    for index in range(step.get("first", 0), step.get("first", 0) + count):
        text = '{"id":%d,"pad":"%s"}' % (index, pad)
        while True:
            try:
                plain.produce(step["topic"], text.encode(), None, index % partitions)
                break
            except BufferError:
                plain.poll(0.1)
        if index % 1000 == 0:
            plain.poll(0)
    plain.flush(120)


def flood(step):
    """Goes on producing until the script ends."""
    stop = threading.Event()
    def go():
        index = 1_000_000
        while not stop.is_set():
            try:
                plain.produce(step["topic"], ('{"id":%d,"pad":""}' % index).encode(), None, index % step["partitions"])
            except BufferError:
                pass
            index += 1
            if index % 200 == 0:
                plain.poll(0.005)
    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    floods.append(stop)


def run(step):
    global transaction
    name = step["do"]
    if name == "create":
        done(admin.create_topics([NewTopic(step["topic"], step["partitions"], 1, config=step.get("config", {}))]))
    elif name == "partitions":
        done(admin.create_partitions([NewPartitions(step["topic"], step["to"])]))
        # The producer learns of them when it asks.
        while len(plain.list_topics(step["topic"], 10).topics[step["topic"]].partitions) < step["to"]:
            time.sleep(0.02)
    elif name == "delete":
        done(admin.delete_topics([step["topic"]]))
    elif name == "truncate":
        done(admin.delete_records([TopicPartition(step["topic"], step["partition"], step["before"])]))
    elif name == "deny":
        kind = ResourceType.GROUP if "group" in step else ResourceType.TOPIC
        done(admin.create_acls([AclBinding(kind, step.get("group") or step["topic"], ResourcePatternType.LITERAL, "User:" + step["user"], "*",
                                           AclOperation.READ, AclPermissionType.DENY)]))
    elif name == "register":
        register(step)
    elif name == "send":
        send(step)
    elif name == "fill":
        fill(step)
    elif name == "flood":
        flood(step)
    elif name == "calm":
        for stop in floods:
            stop.set()
        plain.flush(30)
    elif name == "begin":
        transaction = Producer({"bootstrap.servers": bootstrap, "transactional.id": step["id"], "transaction.timeout.ms": 600_000})
        transaction.init_transactions(30)
        transaction.begin_transaction()
    elif name == "commit":
        transaction.commit_transaction(30)
        transaction = None
        settle()
    elif name == "abort":
        transaction.abort_transaction(30)
        transaction = None
        settle()
    else:
        raise RuntimeError("there is no step " + name)


for line in sys.stdin:
    try:
        run(json.loads(line))
        print("ok", flush=True)
    except Exception as error:
        print(repr(error).replace("\n", " "), flush=True)
