#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "engine/lookups/lookup_feed.h"
#include "engine/lookups/topic_table.h"

namespace millrace {
namespace {

constexpr int64_t kRowsAtOnce = 8192;
constexpr auto kPause = std::chrono::milliseconds(100);
constexpr Micros kTimeout = std::chrono::seconds(5);

class TopicLookup final : public LookupFeed {
 public:
  TopicLookup(std::shared_ptr<Lookup> lookup, LookupTopic topic, LookupFeedOptions options)
      : lookup_(std::move(lookup)),
        topic_(std::move(topic)),
        options_(std::move(options)),
        table_(lookup_->spec(), lookup_->layout(), options_.limits) {}
  ~TopicLookup() override {
    ended_ = true;
    WakeUp();
    if (thread_.joinable()) thread_.join();
    if (reader_ != nullptr) reader_->Stop();
  }

  Status Open() {
    if (const Status status = ReadToEnd(); !status.ok()) {
      return WithContext(status, "lookup " + lookup_->spec().name);
    }
    thread_ = std::thread([this] {
      if (const Status status = Follow(); !status.ok()) Break(status);
    });
    return Status::OK();
  }

 private:
  Status ReadToEnd() {
    ARROW_ASSIGN_OR_RAISE(const Source::Partitions found, topic_.source->Discover(kTimeout));
    ARROW_ASSIGN_OR_RAISE(ends_, topic_.ends());
    ARROW_ASSIGN_OR_RAISE(reader_, topic_.source->MakeReader());
    reader_->SetWakeUp([this] { WakeUp(); });
    std::vector<StartPosition> starts;
    starts.reserve(found.partitions.size());
    for (const TopicPartition& partition : found.partitions) {
      starts.push_back({partition, std::nullopt});
    }
    ARROW_RETURN_NOT_OK(reader_->Start(starts));
    while (!AtEnd()) {
      if (options_.stopping != nullptr && *options_.stopping) {
        return ExternalError("stopped", "stopped while reading the topic", Retry::kNo);
      }
      ARROW_ASSIGN_OR_RAISE(const bool more, Poll());
      if (table_.is_full()) ARROW_RETURN_NOT_OK(table_.Step().status());
      if (!more && !AtEnd()) Wait();
    }
    if (table_.bad_records() > 0) {
      return UserError("bad_lookup_row",
                       std::to_string(table_.bad_records()) +
                           " records cannot be read, and no later one of their key stands for "
                           "them; one of them: " +
                           table_.FirstBad());
    }
    return Show();
  }

  bool AtEnd() const {
    return std::ranges::all_of(ends_, [this](const auto& entry) {
      const auto position = positions_.find(entry.first);
      return entry.second == 0 ||
             (position != positions_.end() && position->second >= entry.second);
    });
  }

  // Until the feed is destroyed. What comes in a short time becomes visible together.
  Status Follow() {
    MonotonicTime since{0};  // of the first change that is not visible
    while (!ended_) {
      const int64_t before = table_.pending();
      ARROW_ASSIGN_OR_RAISE(const bool more, Poll());
      const MonotonicTime now = options_.clock->Monotonic();
      if (before == 0) since = now;
      TellBad();
      if (table_.pending() > 0 && (!more || table_.is_full() || now - since >= kPause)) {
        ARROW_RETURN_NOT_OK(Show());
      }
      if (!more) Wait();
    }
    return Status::OK();
  }

  Result<bool> Poll() {
    ARROW_ASSIGN_OR_RAISE(const Polled polled, reader_->Poll(kRowsAtOnce));
    for (const SourceBatch& batch : polled.batches) {
      ARROW_RETURN_NOT_OK(table_.Add(batch));
      positions_[batch.partition] = batch.next_offset;
    }
    for (const SourceEvent& event : polled.events) {
      if (event.kind == SourceEvent::Kind::kPartitionAdded) {
        ARROW_RETURN_NOT_OK(reader_->AddPartition({event.partition, event.offset}));
      } else if (event.kind == SourceEvent::Kind::kWarning ||
                 event.kind == SourceEvent::Kind::kInterrupted) {
        options_.warn("lookup " + lookup_->spec().name + ": " + event.message);
      }
    }
    return polled.more;
  }

  Status Show() {
    ARROW_ASSIGN_OR_RAISE(auto snapshot, table_.Step());
    lookup_->Show(std::move(snapshot), table_.rows_without_key(), options_.clock->Wall());
    TellRowsWithoutKey();
    return Status::OK();
  }

  void TellBad() {
    if (table_.bad_records() == 0) return;
    lookup_->CountFailure();
    options_.warn("lookup " + lookup_->spec().name + ": " + std::to_string(table_.bad_records()) +
                  " records cannot be read, the rows of their keys stay as they were; one of "
                  "them: " +
                  table_.FirstBad());
    table_.ForgetBad();
  }

  void TellRowsWithoutKey() {
    const int64_t rows = table_.rows_without_key();
    if (rows == std::exchange(told_without_key_, rows)) return;
    options_.warn("lookup " + lookup_->spec().name + ": " + std::to_string(rows) +
                  " rows with a null in their key so far; they are never found");
  }

  void Break(const Status& status) {
    const Status told = WithContext(status, "lookup " + lookup_->spec().name);
    lookup_->CountFailure();
    options_.warn("the topic can not be followed any more, which ends the job: " + told.message());
    lookup_->Break(told);
  }

  void WakeUp() {
    {
      const std::lock_guard lock(mutex_);
      awake_ = true;
    }
    changed_.notify_one();
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPause, [this] { return awake_ || ended_; });
    awake_ = false;
  }

  const std::shared_ptr<Lookup> lookup_;
  const LookupTopic topic_;
  const LookupFeedOptions options_;
  // Of the one thread that reads.
  TopicTable table_;
  std::map<TopicPartition, int64_t> ends_;
  std::map<TopicPartition, int64_t> positions_;
  int64_t told_without_key_ = 0;

  std::atomic<bool> ended_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool awake_ = false;  // guarded by mutex_
  std::unique_ptr<SourceReader> reader_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<LookupFeed>> OpenTopicLookup(std::shared_ptr<Lookup> lookup,
                                                    LookupTopic topic, LookupFeedOptions options) {
  auto feed =
      std::make_unique<TopicLookup>(std::move(lookup), std::move(topic), std::move(options));
  ARROW_RETURN_NOT_OK(feed->Open());
  return feed;
}

}  // namespace millrace
