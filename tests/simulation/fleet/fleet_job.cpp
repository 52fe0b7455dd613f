#include "tests/simulation/fleet/fleet_job.h"

#include <cstdio>

namespace millrace::simulation {
namespace {

constexpr size_t kManifestsKept = 3;

}  // namespace

std::string FleetJobFile::Text() const {
  return std::to_string(parallelism) + " " + std::to_string(attempts) + " " +
         std::to_string(version);
}

FleetJobFile FleetJobFile::Read(const std::string& text) {
  FleetJobFile file;
  int parallelism = 0, version = 0;
  long long attempts = 0;
  std::sscanf(text.c_str(), "%d %lld %d", &parallelism, &attempts, &version);
  file.parallelism = parallelism;
  file.attempts = attempts;
  file.version = version;
  return file;
}

void FleetJob::OnClaimed(int64_t attempt, const std::string& by) {
  const auto [known, is_new] = leaders_.emplace(attempt, by);
  led_.insert(attempt);
  if (!is_new) {
    Fail("attempt " + std::to_string(attempt) + " is led by " + known->second + " and by " + by);
  }
}

FleetManifest FleetJob::Restored(const ClaimedTerm& claimed) const {
  for (auto entry = claimed.entries.rbegin(); entry != claimed.entries.rend(); ++entry) {
    if (!entry->entry.has_manifest()) continue;
    const auto found = files_.find(entry->entry.manifest().file().path());
    if (found != files_.end()) return found->second;
  }
  return {};
}

AppendResult FleetJob::Commit(int64_t index, const FleetManifest& manifest,
                              const std::vector<FleetShare>& shares) {
  proto::LogEntry entry;
  entry.set_term(manifest.attempt);
  entry.mutable_manifest()->set_epoch(manifest.epoch);
  const std::string path = std::to_string(manifest.epoch) + "-" + std::to_string(manifest.attempt);
  entry.mutable_manifest()->mutable_file()->set_path(path);
  const int64_t leads = log.term();
  if (log.Append(index, entry) == AppendResult::kTaken) return AppendResult::kTaken;
  files_[path] = manifest;
  ++commits_;
  if (leads != manifest.attempt) {
    Fail("attempt " + std::to_string(manifest.attempt) + " completes a checkpoint although " +
         std::to_string(leads) + " leads");
  }
  std::vector<std::string> owners(kGroups);
  for (const FleetShare& share : shares) {
    if (share.attempt != manifest.attempt) {
      Fail("a checkpoint of attempt " + std::to_string(manifest.attempt) +
           " holds the state of a task of attempt " + std::to_string(share.attempt));
    }
    for (const auto& [group, rows] : share.rows) {
      std::string& owner = owners[size_t(group)];
      if (!owner.empty()) {
        Fail("key group " + std::to_string(group) + " is owned by " + owner + " and by " +
             share.worker);
      }
      owner = share.worker;
      if (rows < newest_.rows[size_t(group)]) {
        Fail("key group " + std::to_string(group) + " goes back");
      }
    }
  }
  for (int group = 0; group < kGroups; ++group) {
    if (owners[size_t(group)].empty()) {
      Fail("nobody owns key group " + std::to_string(group));
    }
  }
  newest_ = manifest;
  // The newest entries are kept, and the files that they name.
  std::vector<int64_t> kept;
  for (const IndexedEntry& other : log.entries()) {
    if (other.entry.has_manifest()) kept.push_back(other.index);
  }
  if (kept.size() > kManifestsKept) log.RemoveBefore(kept[kept.size() - kManifestsKept]);
  std::map<std::string, FleetManifest> files;
  for (const IndexedEntry& other : log.entries()) {
    if (!other.entry.has_manifest()) continue;
    const std::string& name = other.entry.manifest().file().path();
    files[name] = files_[name];
  }
  files_ = std::move(files);
  return AppendResult::kAppended;
}

bool FleetJob::BeginPublishing(int64_t attempt, const std::string& worker,
                               const std::vector<int>& groups, std::map<int, int64_t>* rows) {
  for (const int group : groups) {
    if (attempt < fences_[size_t(group)] && world_->bug != FleetBug::kNoFence) {
      ++refused_;
      return false;
    }
  }
  for (const int group : groups) {
    std::string& publisher = publishers_[size_t(group)];
    if (attempt == fences_[size_t(group)] && publisher != worker) {
      Fail("key group " + std::to_string(group) + " is published by " + publisher + " and by " +
           worker + " in attempt " + std::to_string(attempt));
    }
    fences_[size_t(group)] = attempt;
    publisher = worker;
    (*rows)[group] = published_[size_t(group)];
  }
  return true;
}

bool FleetJob::Publish(int64_t attempt, const std::string& worker, int group, int64_t from,
                       int64_t to) {
  const auto at = size_t(group);
  if (world_->bug != FleetBug::kNoFence && attempt != fences_[at]) {
    ++refused_;
    return false;
  }
  if (from != published_[at]) {
    Fail("key group " + std::to_string(group) + ": rows from " + std::to_string(from) +
         " are published behind row " + std::to_string(published_[at]));
  }
  if (to > newest_.rows[at]) {
    Fail("key group " + std::to_string(group) + ": row " + std::to_string(to) +
         " is published, but the newest checkpoint ends at " + std::to_string(newest_.rows[at]));
  }
  published_[at] = to;
  return true;
}

}  // namespace millrace::simulation
