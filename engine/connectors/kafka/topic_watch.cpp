#include "engine/connectors/kafka/topic_watch.h"

namespace millrace {
namespace {

constexpr auto kRequestTimeout = std::chrono::milliseconds(800);
constexpr auto kRetryAfter = std::chrono::milliseconds(500);
constexpr auto kSuspectAgainAfter = std::chrono::seconds(2);

bool IsMissing(const rd_kafka_metadata_topic_t& topic) {
  return topic.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
         topic.err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
}

}  // namespace

TopicWatch::TopicWatch(std::shared_ptr<KafkaClient> client, Options options,
                       std::function<void()> on_findings)
    : client_(std::move(client)),
      options_(std::move(options)),
      on_findings_(std::move(on_findings)),
      known_(options_.known),
      thread_([this] { Run(); }) {}

TopicWatch::~TopicWatch() { Stop(); }

void TopicWatch::AskRange(const TopicPartition& partition) {
  const std::lock_guard lock(mutex_);
  ranges_wanted_.insert(partition);
  changed_.notify_one();
}

void TopicWatch::SuspectDeleted(const std::string& topic) {
  const std::lock_guard lock(mutex_);
  if (suspects_.emplace(topic, false).second) changed_.notify_one();
}

void TopicWatch::KeepFetching(const TopicPartition& partition) {
  const std::lock_guard lock(mutex_);
  if (fetch_next_.has_value()) return;
  fetch_next_ = partition;
  changed_.notify_one();
}

bool TopicWatch::Take(Findings* findings) {
  if (!has_findings_.load(std::memory_order_acquire)) return false;
  const std::lock_guard lock(mutex_);
  *findings = std::move(findings_);
  findings_ = Findings();
  has_findings_ = false;
  return true;
}

void TopicWatch::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void TopicWatch::Run() {
  using SteadyClock = std::chrono::steady_clock;
  const auto interval = options_.discovery_interval;
  auto next_discovery = SteadyClock::now() + interval.value_or(Micros(0));
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto due = [&] { return interval.has_value() && SteadyClock::now() >= next_discovery; };
    const auto ready = [&] {
      return stopping_ || fetch_next_.has_value() || !ranges_wanted_.empty() || !suspects_.empty();
    };
    if (interval.has_value()) {
      changed_.wait_until(lock, next_discovery, ready);
    } else {
      changed_.wait(lock, ready);
    }
    if (stopping_) return;
    const auto ranges = std::exchange(ranges_wanted_, {});
    const auto suspects = std::exchange(suspects_, {});
    const auto fetch_next = std::exchange(fetch_next_, std::nullopt);
    lock.unlock();
    if (fetch_next.has_value()) AskLeader(*fetch_next);
    QueryRanges(ranges);
    CheckSuspects(suspects);
    if (due()) {
      Discover();
      next_discovery = SteadyClock::now() + *interval;
    }
    lock.lock();
    // What is still open waits a little, so that a dead broker is not asked in a loop.
    if (!suspects_.empty()) {
      changed_.wait_for(lock, kSuspectAgainAfter, [&] { return stopping_; });
    } else if (!ranges_wanted_.empty()) {
      changed_.wait_for(lock, kRetryAfter, [&] { return stopping_; });
    }
  }
}

// The answer does not matter: the question wakes librdkafka's thread.
void TopicWatch::AskLeader(const TopicPartition& partition) {
  int64_t low = 0, high = 0;
  rd_kafka_query_watermark_offsets(client_->handle(), partition.topic.c_str(), partition.partition,
                                   &low, &high, int(kRequestTimeout.count()));
}

void TopicWatch::QueryRanges(const std::set<TopicPartition>& wanted) {
  for (const TopicPartition& partition : wanted) {
    Range range{partition, 0, 0};
    const auto error = rd_kafka_query_watermark_offsets(client_->handle(), partition.topic.c_str(),
                                                        partition.partition, &range.low,
                                                        &range.high, int(kRequestTimeout.count()));
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        findings_.ranges.push_back(range);
      } else {
        ranges_wanted_.insert(partition);
        suspects_.emplace(partition.topic, false);
      }
    }
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) Found();
  }
}

void TopicWatch::CheckSuspects(const std::map<std::string, bool>& suspects) {
  for (const auto& [topic, seen_missing] : suspects) {
    const auto metadata = client_->Metadata(topic, kRequestTimeout);
    // No answer proves nothing; reading goes on or fails again.
    if (!metadata.ok() || (*metadata)->topic_cnt != 1 || !IsMissing((*metadata)->topics[0])) {
      continue;
    }
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      if (!seen_missing) {
        suspects_[topic] = true;
        continue;
      }
      findings_.deleted_topics.push_back(topic);
    }
    Found();
  }
}

void TopicWatch::Discover() {
  for (const std::string& topic : options_.topics) {
    const auto metadata = client_->Metadata(topic, kRequestTimeout);
    if (!metadata.ok() || (*metadata)->topic_cnt != 1) continue;
    const rd_kafka_metadata_topic_t& answer = (*metadata)->topics[0];
    if (IsMissing(answer)) {
      SuspectDeleted(topic);
      continue;
    }
    bool any = false;
    for (int i = 0; i < answer.partition_cnt; ++i) {
      TopicPartition partition{topic, answer.partitions[i].id};
      if (!known_.insert(partition).second) continue;
      const std::lock_guard lock(mutex_);
      findings_.added.push_back(std::move(partition));
      any = true;
    }
    if (any) Found();
  }
}

void TopicWatch::Found() {
  has_findings_.store(true, std::memory_order_release);
  on_findings_();
}

}  // namespace millrace
