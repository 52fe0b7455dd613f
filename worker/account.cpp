#include "worker/account.h"

#include <algorithm>

namespace millrace {
namespace {

using Labels = std::map<std::pair<std::string, std::string>, int64_t>;

std::map<std::string, int64_t> ByOrigin(const Labels& labels) {
  std::map<std::string, int64_t> counts;
  for (const auto& [label, count] : labels) counts[label.first] += count;
  return counts;
}

void Save(const Labels& labels, google::protobuf::RepeatedPtrField<proto::LabelledCount>* saved) {
  for (const auto& [label, count] : labels) {
    proto::LabelledCount* const entry = saved->Add();
    entry->set_origin(label.first);
    entry->set_reason(label.second);
    entry->set_count(count);
  }
}

void Load(const google::protobuf::RepeatedPtrField<proto::LabelledCount>& saved, Labels* labels) {
  for (const proto::LabelledCount& entry : saved) {
    (*labels)[{entry.origin(), entry.reason()}] += entry.count();
  }
}

// What a checkpoint keeps of a stream, and where it stands in the message.
struct Counter {
  std::atomic<int64_t> StreamAccount::*value;
  int64_t (proto::StreamCounts::*get)() const;
  void (proto::StreamCounts::*set)(int64_t);
};
constexpr Counter kCounters[] = {
    {&StreamAccount::rows_in, &proto::StreamCounts::rows_in, &proto::StreamCounts::set_rows_in},
    {&StreamAccount::filtered, &proto::StreamCounts::filtered, &proto::StreamCounts::set_filtered},
    {&StreamAccount::counted, &proto::StreamCounts::counted, &proto::StreamCounts::set_counted},
    {&StreamAccount::open, &proto::StreamCounts::open, &proto::StreamCounts::set_open},
    {&StreamAccount::bytes_in, &proto::StreamCounts::bytes_in, &proto::StreamCounts::set_bytes_in},
    {&StreamAccount::lost, &proto::StreamCounts::lost, &proto::StreamCounts::set_lost},
    {&StreamAccount::late, &proto::StreamCounts::late, &proto::StreamCounts::set_late},
    {&StreamAccount::windows_fired, &proto::StreamCounts::windows_fired,
     &proto::StreamCounts::set_windows_fired},
    {&StreamAccount::rows_out, &proto::StreamCounts::rows_out, &proto::StreamCounts::set_rows_out},
    {&StreamAccount::output_filtered, &proto::StreamCounts::output_filtered,
     &proto::StreamCounts::set_output_filtered},
    {&StreamAccount::output_failed, &proto::StreamCounts::output_failed,
     &proto::StreamCounts::set_output_failed},
    {&StreamAccount::empty_records, &proto::StreamCounts::empty_records,
     &proto::StreamCounts::set_empty_records},
};

}  // namespace

JobAccount::JobAccount(const JobPlan& plan) {
  for (const PlanNode& node : plan.nodes) {
    auto& stream = streams_[node.stream];
    if (stream == nullptr) stream = std::make_unique<StreamAccount>();
  }
}

void JobAccount::AddDeadLetters(const std::string& stream, const std::string& reason,
                                int64_t count) {
  const std::lock_guard lock(mutex_);
  dead_letters_[{stream, reason}] += count;
}

void JobAccount::AddOutputDeadLetters(const std::string& origin, const std::string& reason,
                                      int64_t count) {
  const std::lock_guard lock(mutex_);
  output_dead_letters_[{origin, reason}] += count;
}

std::map<std::pair<std::string, std::string>, int64_t> JobAccount::DeadLetters() const {
  const std::lock_guard lock(mutex_);
  auto all = dead_letters_;
  for (const auto& [key, count] : output_dead_letters_) all[key] += count;
  return all;
}

void JobAccount::AddAlerts(const std::string& alert, int64_t count) {
  const std::lock_guard lock(mutex_);
  alerts_[{alert, ""}] += count;
}

std::map<std::string, int64_t> JobAccount::Alerts() const {
  const std::lock_guard lock(mutex_);
  return ByOrigin(alerts_);
}

void JobAccount::AddSinkRows(const std::string& sink, int64_t count) {
  const std::lock_guard lock(mutex_);
  sink_rows_[{sink, ""}] += count;
}

std::map<std::string, int64_t> JobAccount::SinkRows() const {
  const std::lock_guard lock(mutex_);
  return ByOrigin(sink_rows_);
}

int64_t JobAccount::DeadLettersOf(const std::string& stream) const {
  const std::lock_guard lock(mutex_);
  int64_t sum = 0;
  for (const auto& [key, count] : dead_letters_) {
    if (key.first == stream) sum += count;
  }
  return sum;
}

int64_t JobAccount::Difference(const std::string& stream) const {
  const StreamAccount& account = *streams_.at(stream);
  return account.rows_in - account.filtered - account.counted - account.open -
         DeadLettersOf(stream);
}

proto::AccountCounts JobAccount::Counts() const {
  proto::AccountCounts counts;
  for (const auto& [name, stream] : streams_) {
    proto::StreamCounts* const saved = counts.add_streams();
    saved->set_stream(name);
    for (const Counter& counter : kCounters) (saved->*counter.set)(*stream.*counter.value);
  }
  const std::lock_guard lock(mutex_);
  Save(dead_letters_, counts.mutable_dead_letters());
  Save(output_dead_letters_, counts.mutable_output_dead_letters());
  Save(alerts_, counts.mutable_alerts());
  Save(sink_rows_, counts.mutable_rows_by_sink());
  return counts;
}

void JobAccount::Add(const proto::AccountCounts& counts) {
  for (const proto::StreamCounts& saved : counts.streams()) {
    const auto stream = streams_.find(saved.stream());
    if (stream == streams_.end()) continue;
    for (const Counter& counter : kCounters) {
      *stream->second.*counter.value += (saved.*counter.get)();
    }
  }
  const std::lock_guard lock(mutex_);
  Load(counts.dead_letters(), &dead_letters_);
  Load(counts.output_dead_letters(), &output_dead_letters_);
  Load(counts.alerts(), &alerts_);
  Load(counts.rows_by_sink(), &sink_rows_);
}

void JobAccount::Add(const JobAccount& other) {
  Add(other.Counts());
  for (const auto& [name, from] : other.streams_) {
    const auto stream = streams_.find(name);
    if (stream == streams_.end()) continue;
    std::atomic<int64_t>& watermark = stream->second->watermark;
    watermark = std::max(watermark.load(), from->watermark.load());
  }
}

}  // namespace millrace
