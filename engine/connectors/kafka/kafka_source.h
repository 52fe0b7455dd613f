// Kafka topics as a source. Partitions are assigned by us, never by Kafka's group protocol: the
// group (millrace-JOB) only keeps committed positions, so that every Kafka tool shows the lag.
//
// Lost input is told, never skipped in silence: a position that is out of range ends the job
// ("data_lost") or, with on_data_loss: continue, is a kDataLost event; a deleted topic ends it
// ("topic_deleted"). Brokers that are away are passing trouble: librdkafka goes on trying, and the
// partitions are told to be interrupted. "At the end" is told by evidence only (PartitionHealth).
#pragma once

#include <map>
#include <memory>
#include <string>

#include "engine/base/status.h"
#include "engine/connectors/kafka/kafka_client.h"
#include "engine/connectors/source.h"
#include "engine/plan/plan.h"

namespace millrace {

struct KafkaSourceOptions {
  std::string job;
  KafkaProperties default_properties;  // of the job: bootstrap.servers, security.*, ...
  KafkaLog log;
  // Prefetched records of all readers together; each reader's share is its part of this.
  int64_t queue_bytes_max = 40 << 20;
  int readers = 1;
  // For topics that are read as tables: engine/connectors/tombstone.h.
  bool tells_tombstones = false;
};

// Fails with "bad_kafka_property" or "no_brokers" (user) without reaching for the network.
// The source's first reader announces new partitions. Readers have a client each, and one thread of
// librdkafka's for all fetching and decompression; their wake-up is called from that thread.
// `node.spec.input` holds a KafkaSourceSpec.
Result<std::unique_ptr<Source>> MakeKafkaSource(const SourceNode& node, KafkaSourceOptions options);

// Where the partitions of the source's topics end now: the offsets behind the last records that can
// be read (before the first transaction that is open, with read_committed). Blocks;
// "broker_unreachable" (retry), "topic_missing" (user).
Result<std::map<TopicPartition, int64_t>> KafkaEndOffsets(const SourceNode& node,
                                                          const KafkaSourceOptions& options,
                                                          Micros timeout);

}  // namespace millrace
