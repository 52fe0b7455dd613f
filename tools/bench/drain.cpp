// bench-drain BROKERS TOPIC RECORDS: consumes that many records of a topic with librdkafka alone
// and touches nothing of them: the limit that a job's cost is compared with. Client settings are
// those of the engine's Kafka source. Prints one JSON object; CPU and time count from the first
// record to the last.
#include <librdkafka/rdkafka.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

int64_t PeakBytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return int64_t(usage.ru_maxrss) * 1024;
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

rd_kafka_t* MakeConsumer(const char* brokers) {
  const char* properties[][2] = {
      {"bootstrap.servers", brokers},
      {"group.id", "millrace-bench-drain"},
      {"enable.auto.commit", "false"},
      {"auto.offset.reset", "error"},
      {"queued.min.messages", "200000"},
      {"queued.max.messages.kbytes", "40960"},
      {"fetch.message.max.bytes", "1048576"},
      {"fetch.wait.max.ms", "50"},
      {"check.crcs", "false"},
  };
  char reason[512];
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : properties) {
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) != RD_KAFKA_CONF_OK) {
      std::fprintf(stderr, "bench-drain: %s\n", reason);
      return nullptr;
    }
  }
  rd_kafka_t* consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof(reason));
  if (consumer == nullptr) std::fprintf(stderr, "bench-drain: %s\n", reason);
  return consumer;
}

// Assigns every partition from its start; false where the topic is not there.
bool AssignAll(rd_kafka_t* consumer, const char* topic) {
  const rd_kafka_metadata_t* metadata = nullptr;
  const auto error = rd_kafka_metadata(consumer, 1, nullptr, &metadata, 5000);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    std::fprintf(stderr, "bench-drain: %s\n", rd_kafka_err2str(error));
    return false;
  }
  rd_kafka_topic_partition_list_t* partitions = rd_kafka_topic_partition_list_new(4);
  for (int t = 0; t < metadata->topic_cnt; ++t) {
    if (std::string(topic) != metadata->topics[t].topic) continue;
    for (int p = 0; p < metadata->topics[t].partition_cnt; ++p) {
      rd_kafka_topic_partition_list_add(partitions, topic, p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
  }
  const bool found = partitions->cnt > 0;
  if (found) rd_kafka_assign(consumer, partitions);
  if (!found) std::fprintf(stderr, "bench-drain: topic '%s' does not exist\n", topic);
  rd_kafka_topic_partition_list_destroy(partitions);
  rd_kafka_metadata_destroy(metadata);
  return found;
}

// Consumes `wanted` records; false when none came for 30 s.
bool Drain(rd_kafka_t* consumer, int64_t wanted) {
  rd_kafka_queue_t* queue = rd_kafka_queue_get_consumer(consumer);
  std::vector<rd_kafka_message_t*> messages(10'000);
  int64_t records = 0;
  int64_t bytes = 0;
  double started = Now();
  double cpu_started = CpuSeconds();
  double last_record = started;
  while (records < wanted && Now() - last_record < 30) {
    const ssize_t count =
        rd_kafka_consume_batch_queue(queue, 200, messages.data(), messages.size());
    if (count > 0 && records == 0) {
      started = Now();
      cpu_started = CpuSeconds();
    }
    for (ssize_t i = 0; i < count; ++i) {
      rd_kafka_message_t* message = messages[size_t(i)];
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        ++records;
        bytes += int64_t(message->len);
      }
      rd_kafka_message_destroy(message);
    }
    if (count > 0) last_record = Now();
  }
  const double seconds = Now() - started;
  const double cpu = CpuSeconds() - cpu_started;
  rd_kafka_queue_destroy(queue);
  std::printf(
      "{\"records\": %lld, \"bytes\": %lld, \"seconds\": %.4f, \"cpu_seconds\": %.4f, "
      "\"peak_rss_bytes\": %lld}\n",
      static_cast<long long>(records), static_cast<long long>(bytes), seconds, cpu,
      static_cast<long long>(PeakBytes()));
  return records >= wanted;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench-drain BROKERS TOPIC RECORDS\n");
    return 2;
  }
  rd_kafka_t* consumer = MakeConsumer(argv[1]);
  if (consumer == nullptr) return 1;
  rd_kafka_poll_set_consumer(consumer);
  const bool drained = AssignAll(consumer, argv[2]) && Drain(consumer, std::atoll(argv[3]));
  rd_kafka_consumer_close(consumer);
  rd_kafka_destroy(consumer);
  return drained ? 0 : 1;
}
