"""Topics and records on the tests' broker, by confluent-kafka: a client that is not ours to test.

(confluent-kafka is librdkafka too, of another version than the one Millrace links.)
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from harness.waiting import wait_for

TIMEOUT_SECONDS = 30.0
# Bytes and records of any age stay, whatever time stands on them.
KEEP_ALL = {"retention.ms": "-1"}


@dataclass(frozen=True)
class Record:
    """One record, to write or as read. Headers keep their order."""

    value: bytes | None
    key: bytes | None = None
    partition: int = -1  # -1 when writing: the producer chooses by key
    timestamp_ms: int = 0  # 0 when writing: now
    headers: Sequence[tuple[str, bytes]] = field(default_factory=tuple)
    offset: int = -1

    def header(self, name: str) -> bytes | None:
        """The last header of that name."""
        return dict(self.headers).get(name)


class Kafka:
    """Owned by one test. `bootstrap` is HOST:PORT."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})

    def create_topic(
        self, name: str, partitions: int = 1, settings: Mapping[str, str] | None = None
    ) -> str:
        topic = NewTopic(
            name,
            num_partitions=partitions,
            replication_factor=1,
            config={**KEEP_ALL, **(settings or {})},
        )
        self._await(self._admin.create_topics([topic]))
        return name

    def create_topic_again(self, name: str) -> None:
        """A deleted topic's name is free a moment later."""

        def attempt() -> bool:
            try:
                self.create_topic(name)
            except KafkaException:
                return False
            return True

        wait_for(f"topic {name} anew", attempt)

    def delete_topic(self, name: str) -> None:
        self._await(self._admin.delete_topics([name]))

    def add_partitions(self, topic: str, total: int) -> None:
        self._await(self._admin.create_partitions([NewPartitions(topic, total)]))

    def delete_records(self, topic: str, partition: int, before_offset: int) -> None:
        """What retention does: the records before the offset are gone."""
        self._await(self._admin.delete_records([TopicPartition(topic, partition, before_offset)]))

    @staticmethod
    def _await(futures: Mapping[object, object]) -> None:
        for future in futures.values():
            future.result(timeout=TIMEOUT_SECONDS)  # type: ignore[attr-defined]

    def produce(
        self, topic: str, records: Iterable[Record], settings: Mapping[str, object] | None = None
    ) -> int:
        """Writes all and waits for every acknowledgement; how many there were."""
        return self.sender(settings).send(topic, records)

    def sender(self, settings: Mapping[str, object] | None = None) -> Sender:
        """To write several times: a producer takes half a second to begin."""
        return Sender(self.bootstrap, settings)

    def partitions(self, topic: str) -> list[int]:
        metadata = self._admin.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        return sorted(metadata.partitions)

    def topics(self) -> set[str]:
        return set(self._admin.list_topics(timeout=TIMEOUT_SECONDS).topics)

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Partition -> the offset that the next record gets."""
        consumer = self._consumer()
        try:
            return {
                partition: consumer.get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=TIMEOUT_SECONDS
                )[1]
                for partition in self.partitions(topic)
            }
        finally:
            consumer.close()

    def read_all(self, topic: str, timeout_seconds: float = TIMEOUT_SECONDS) -> list[Record]:
        """Every committed record up to the present end, partition by partition."""
        return self._read(topic, None, timeout_seconds)

    def read(
        self, topic: str, count: int, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> list[Record]:
        """At least the first `count` committed records; fails if they do not come in time."""
        records = self._read(topic, count, timeout_seconds)
        assert len(records) >= count, (
            f"{topic}: {len(records)} of {count} records in {timeout_seconds:g} s"
        )
        return records

    def _read(self, topic: str, count: int | None, timeout_seconds: float) -> list[Record]:
        deadline = time.monotonic() + timeout_seconds
        partitions = self.partitions(topic)
        consumer = self._consumer()
        records: list[Record] = []
        ended: set[int] = set()
        try:
            consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
            while time.monotonic() < deadline:
                for message in consumer.consume(num_messages=1000, timeout=0.1):
                    error = message.error()
                    if error is None:
                        records.append(_record(message))
                    elif error.code() == _PARTITION_EOF:
                        ended.add(message.partition())
                    else:
                        raise KafkaException(error)
                if count is not None and len(records) >= count:
                    break
                if count is None and len(ended) == len(partitions):
                    break
            else:
                assert count is not None, f"{topic}: no end in {timeout_seconds:g} s"
        finally:
            consumer.close()
        return sorted(records, key=lambda record: (record.partition, record.offset))

    def _consumer(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "tests",  # only because the client asks for one: nothing is committed
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.message.max.bytes": 8_000_000,
                "log_level": 2,
            }
        )


class Sender:
    """A producer that keeps the order within a partition. Owned by one thread."""

    def __init__(self, bootstrap: str, settings: Mapping[str, object] | None = None) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "linger.ms": 5,
                "message.max.bytes": 6_000_000,
                "queue.buffering.max.messages": 1_000_000,
                "enable.idempotence": True,
                "log_level": 2,
                **(settings or {}),
            }
        )

    def send(self, topic: str, records: Iterable[Record]) -> int:
        """Writes all and waits for every acknowledgement; how many there were."""
        failures: list[str] = []

        def delivered(error: object, _message: object) -> None:
            if error is not None:
                failures.append(str(error))

        count = 0
        for record in records:
            count += 1
            while True:
                try:
                    self._producer.produce(
                        topic,
                        value=record.value,
                        key=record.key,
                        partition=record.partition,
                        timestamp=record.timestamp_ms,
                        headers=list(record.headers),
                        on_delivery=delivered,
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self._producer.poll(0)
        left = self._producer.flush(TIMEOUT_SECONDS)
        assert left == 0, f"{left} records were not acknowledged in {TIMEOUT_SECONDS:g} s"
        assert not failures, f"{len(failures)} records were refused: {failures[0]}"
        return count


_PARTITION_EOF = -191


def _record(message: Message) -> Record:
    return Record(
        value=message.value(),
        key=message.key(),
        partition=message.partition(),
        timestamp_ms=message.timestamp()[1],
        headers=tuple(message.headers() or ()),
        offset=message.offset(),
    )
