#include "engine/checkpoint/manifest.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

namespace millrace {
namespace {

using Labels = std::map<std::pair<std::string, std::string>, int64_t>;
using SavedLabels = google::protobuf::RepeatedPtrField<proto::LabelledCount>;

void AddLabels(const SavedLabels& from, Labels* to) {
  for (const proto::LabelledCount& entry : from) {
    (*to)[{entry.origin(), entry.reason()}] += entry.count();
  }
}

void SaveLabels(const Labels& labels, SavedLabels* to) {
  for (const auto& [label, count] : labels) {
    proto::LabelledCount* const entry = to->Add();
    entry->set_origin(label.first);
    entry->set_reason(label.second);
    entry->set_count(count);
  }
}

// Every numeric field, by reflection: one that is added later is summed too.
void AddStream(const proto::StreamCounts& from, proto::StreamCounts* to) {
  const auto* const reflection = from.GetReflection();
  const auto* const descriptor = from.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* const field = descriptor->field(i);
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_INT64) continue;
    reflection->SetInt64(to, field,
                         reflection->GetInt64(*to, field) + reflection->GetInt64(from, field));
  }
}

}  // namespace

proto::AccountCounts SumAccounts(std::span<const proto::AccountCounts* const> accounts) {
  std::map<std::string, proto::StreamCounts> streams;
  Labels dead_letters, output_dead_letters, alerts, sink_rows;
  for (const proto::AccountCounts* account : accounts) {
    for (const proto::StreamCounts& stream : account->streams()) {
      AddStream(stream, &streams[stream.stream()]);
    }
    AddLabels(account->dead_letters(), &dead_letters);
    AddLabels(account->output_dead_letters(), &output_dead_letters);
    AddLabels(account->alerts(), &alerts);
    AddLabels(account->rows_by_sink(), &sink_rows);
  }
  proto::AccountCounts sum;
  for (auto& [name, stream] : streams) {
    stream.set_stream(name);
    *sum.add_streams() = std::move(stream);
  }
  SaveLabels(dead_letters, sum.mutable_dead_letters());
  SaveLabels(output_dead_letters, sum.mutable_output_dead_letters());
  SaveLabels(alerts, sum.mutable_alerts());
  SaveLabels(sink_rows, sum.mutable_rows_by_sink());
  return sum;
}

proto::Manifest BuildManifest(const JobIdentity& identity, const PendingCheckpoint& checkpoint,
                              const std::vector<proto::ShardState>& shards,
                              const proto::AccountCounts& restored, EventTime now) {
  proto::Manifest manifest;
  manifest.set_format(1);
  manifest.set_job(identity.job);
  manifest.set_generation(identity.generation);
  for (const std::string& ancestor : identity.ancestors) manifest.add_ancestors(ancestor);
  manifest.set_term(identity.term);
  manifest.set_epoch(checkpoint.epoch.value());
  manifest.set_created(now.time_since_epoch().count());
  manifest.set_key_groups(kKeyGroupCount);
  manifest.set_sink_shards(identity.sink_shards);
  std::vector<const proto::AccountCounts*> accounts = {&restored};
  for (const auto& [participant, what] : checkpoint.acknowledgements) {
    if (what.has_reader()) *manifest.add_readers() = what.reader();
    if (what.has_task()) *manifest.add_tasks() = what.task();
    accounts.push_back(&what.account());
  }
  for (const proto::ShardState& shard : shards) *manifest.add_shards() = shard;
  *manifest.mutable_account() = SumAccounts(accounts);
  return manifest;
}

std::vector<const proto::StoredFile*> DistinctFiles(const proto::Manifest& manifest) {
  std::vector<const proto::StoredFile*> files;
  // What says otherwise of a path is another file: one of the two is damaged.
  std::set<std::tuple<std::string_view, int64_t, uint64_t>> seen;
  ForEachStoredFile(manifest, [&](const proto::StoredFile& file) {
    if (seen.emplace(file.path(), file.bytes(), file.checksum()).second) files.push_back(&file);
  });
  return files;
}

std::map<TopicPartition, proto::PartitionPosition> PositionsOf(const proto::Manifest* manifest,
                                                               const std::string& source) {
  std::map<TopicPartition, proto::PartitionPosition> positions;
  if (manifest == nullptr) return positions;
  for (const proto::ReaderState& reader : manifest->readers()) {
    if (reader.source() != source) continue;
    for (const proto::PartitionPosition& position : reader.partitions()) {
      positions[{position.topic(), position.partition()}] = position;
    }
  }
  return positions;
}

EventTime SourceWatermark(const proto::Manifest& manifest, const std::string& source) {
  EventTime least = kEventTimeMax;
  bool found = false;
  for (const proto::ReaderState& reader : manifest.readers()) {
    if (reader.source() != source) continue;
    found = true;
    least = std::min(least, EventTime(Micros(reader.forwarded())));
  }
  return found ? least : kEventTimeMin;
}

}  // namespace millrace
