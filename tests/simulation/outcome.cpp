#include "tests/simulation/outcome.h"

#include <algorithm>

#include "engine/storage/checksum.h"

namespace millrace::simulation {
namespace {

proto::Manifest ManifestAt(const Disk& disk, const proto::StoredFile& file) {
  proto::Manifest manifest;
  const Disk::File* const found = disk.Find("store/" + file.path());
  if (found != nullptr) manifest.ParseFromString(found->bytes);
  return manifest;
}

// Readings in = counted + filtered + open + dead letters.
std::string CheckBalance(const proto::AccountCounts& account) {
  for (const proto::StreamCounts& stream : account.streams()) {
    int64_t letters = 0;
    for (const proto::LabelledCount& entry : account.dead_letters()) {
      if (entry.origin() == stream.stream()) letters += entry.count();
    }
    const int64_t difference =
        stream.rows_in() - stream.filtered() - stream.counted() - stream.open() - letters;
    if (difference != 0) {
      return "the account of " + stream.stream() + " is off by " + std::to_string(difference);
    }
    if (stream.open() != 0) return stream.stream() + " has rows in open windows at its end";
  }
  return "";
}

bool Damaged(const Disk& disk, const proto::StoredFile& file) {
  const Disk::File* const found = disk.Find("store/" + file.path());
  return found == nullptr || Checksum(found->bytes) != file.checksum();
}

std::string CheckAsides(const Universe& universe) {
  const auto asides = universe.disk.List(kAsideFolder);
  return asides.empty() ? "" : asides.front() + " is left aside";
}

std::string CheckLeaks(const Universe& universe) {
  std::set<std::string> kept;
  for (const IndexedEntry& entry : universe.log.Read()) {
    if (!entry.entry.has_manifest()) continue;
    const proto::StoredFile& file = entry.entry.manifest().file();
    const proto::Manifest manifest = ManifestAt(universe.disk, file);
    // Of one that is damaged and passed over it is not known what belongs to it.
    if (manifest.epoch() == 0 || Damaged(universe.disk, file)) return CheckAsides(universe);
    kept.insert(file.path());
    kept.merge(FilesOf(manifest));
  }
  for (const std::string& path : universe.disk.List("store/")) {
    const std::string stored = path.substr(std::string_view("store/").size());
    if (!stored.starts_with("savepoints/") && !kept.contains(stored)) {
      return "nothing refers to " + stored;
    }
  }
  return CheckAsides(universe);
}

std::string FirstDifference(const std::multiset<std::string>& expected,
                            const std::multiset<std::string>& found) {
  std::vector<std::string> lost, added;
  std::ranges::set_difference(expected, found, std::back_inserter(lost));
  std::ranges::set_difference(found, expected, std::back_inserter(added));
  std::string text;
  if (!lost.empty()) text += std::to_string(lost.size()) + " rows are lost, as " + lost.front();
  if (!added.empty()) {
    text += (text.empty() ? "" : "; ") + std::to_string(added.size()) + " rows are too many, as " +
            added.front();
  }
  return text;
}

}  // namespace

Outcome OutcomeOf(const Universe& universe, std::string* wrong) {
  Outcome outcome;
  for (const auto& [topic, values] : universe.kafka.topics()) {
    outcome.rows[topic].insert(values.begin(), values.end());
  }
  for (const std::string& line : FinalLines(universe.disk)) outcome.rows["files"].insert(line);
  const proto::ManifestPointer* const newest = universe.log.Newest();
  if (newest == nullptr) {
    *wrong = "there is no checkpoint";
    return outcome;
  }
  const proto::Manifest last = ManifestAt(universe.disk, newest->file());
  outcome.account = last.account();
  *wrong = CheckBalance(outcome.account);
  if (!last.finished()) *wrong = "the last checkpoint is not that of a finished job";
  for (const proto::ShardState& shard : last.shards()) {
    if (shard.segments_size() > 0 || shard.files_size() > 0) *wrong = "output waits at the end";
  }
  if (wrong->empty()) *wrong = CheckLeaks(universe);
  return outcome;
}

std::string Difference(const Outcome& expected, const Outcome& found) {
  std::set<std::string> targets;
  for (const auto* side : {&expected, &found}) {
    for (const auto& [target, rows] : side->rows) targets.insert(target);
  }
  static const std::multiset<std::string> kNone;
  const auto rows_of = [](const Outcome& outcome, const std::string& target) -> const auto& {
    const auto rows = outcome.rows.find(target);
    return rows == outcome.rows.end() ? kNone : rows->second;
  };
  for (const std::string& target : targets) {
    const std::string text = FirstDifference(rows_of(expected, target), rows_of(found, target));
    if (!text.empty()) return target + ": " + text;
  }
  if (expected.account.SerializeAsString() != found.account.SerializeAsString()) {
    return "the account differs: " + found.account.ShortDebugString() + " instead of " +
           expected.account.ShortDebugString();
  }
  return "";
}

}  // namespace millrace::simulation
