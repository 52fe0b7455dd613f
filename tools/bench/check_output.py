"""What a benchmark's job wrote: rows, distinct windows and readings in them, as one JSON object.

Usage: check_output.py BROKERS TOPIC. Runs in the project's .venv, for its Kafka client.
"""

from __future__ import annotations

import json
import sys

from confluent_kafka import Consumer, KafkaException, TopicPartition

PARTITION_EOF = -191


def count(brokers: str, topic: str) -> dict[str, int]:
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "millrace-bench-check",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": 2,
        }
    )
    partitions = list(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    windows: set[tuple[str, str]] = set()
    rows = readings = ended = 0
    while ended < len(partitions):
        for message in consumer.consume(num_messages=5000, timeout=1.0):
            error = message.error()
            if error is not None:
                if error.code() != PARTITION_EOF:
                    raise KafkaException(error)
                ended += 1
                continue
            row = json.loads(message.value())
            rows += 1
            readings += row["records"]
            windows.add((row["device_id"], row["window_end"]))
    consumer.close()
    return {"rows": rows, "windows": len(windows), "readings": readings}


if __name__ == "__main__":
    print(json.dumps(count(sys.argv[1], sys.argv[2])))
