// What a reader has to ask the brokers for while it reads, on a thread of its own, because the
// answers may be long in coming: partitions that a topic has gained, whether a topic still exists,
// and which offsets a partition holds after its position was out of range.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/connectors/kafka/kafka_client.h"

namespace millrace {

class TopicWatch {
 public:
  struct Options {
    std::vector<std::string> topics;
    // Set for the reader that announces new partitions.
    std::optional<Micros> discovery_interval;
    std::set<TopicPartition> known;
  };
  struct Range {
    TopicPartition partition;
    int64_t low = 0;
    int64_t high = 0;
  };
  struct Findings {
    std::vector<TopicPartition> added;
    std::vector<Range> ranges;
    std::vector<std::string> deleted_topics;
  };

  // `on_findings` is called on the watch's thread after something was found.
  TopicWatch(std::shared_ptr<KafkaClient> client, Options options,
             std::function<void()> on_findings);
  ~TopicWatch();
  TopicWatch(const TopicWatch&) = delete;
  TopicWatch& operator=(const TopicWatch&) = delete;

  // The following may be called from any thread; none waits for a broker.

  // Finds a Range sooner or later, unless the topic is gone.
  void AskRange(const TopicPartition& partition);
  // A topic is found to be deleted when the cluster does not know it twice, two seconds apart.
  void SuspectDeleted(const std::string& topic);
  // Has the leader of `partition` asked something. librdkafka 2.0 stops fetching while its queue is
  // full and looks again only after a second, or when its thread for that broker has other work.
  void KeepFetching(const TopicPartition& partition);
  // Moves what was found into `findings`; false where there is nothing new.
  bool Take(Findings* findings);

  // Waits for a request under way, a second at most.
  void Stop();

 private:
  void Run();
  void Discover();
  void CheckSuspects(const std::map<std::string, bool>& suspects);
  void AskLeader(const TopicPartition& partition);
  void QueryRanges(const std::set<TopicPartition>& wanted);
  void Found();

  const std::shared_ptr<KafkaClient> client_;
  const Options options_;
  const std::function<void()> on_findings_;
  std::set<TopicPartition> known_;  // the thread's

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;  // guarded by mutex_, as what follows
  std::set<TopicPartition> ranges_wanted_;
  std::map<std::string, bool> suspects_;  // seen missing once?
  std::optional<TopicPartition> fetch_next_;
  Findings findings_;
  std::atomic<bool> has_findings_ = false;
  std::thread thread_;
};

}  // namespace millrace
