// An OutboxRecord into librdkafka's queue, and how large a record a topic takes.
#pragma once

#include "engine/connectors/kafka/kafka_client.h"
#include "engine/outbox/segment.h"

namespace millrace {

// Copies. RD_KAFKA_RESP_ERR__QUEUE_FULL and whatever else rd_kafka_producev gives.
// `partition`: RD_KAFKA_PARTITION_UA leaves it to the partitioner.
rd_kafka_resp_err_t EnqueueKafkaRecord(rd_kafka_t* handle, rd_kafka_topic_t* topic,
                                       int32_t partition, const OutboxRecord& record);

// No less than what the record takes in a batch of its own: brokers compare that with
// max.message.bytes. (Where lz4 makes it larger, librdkafka sends it as it is.)
int64_t KafkaBatchBytes(const OutboxRecord& record);

}  // namespace millrace
