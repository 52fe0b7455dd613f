#include "worker/state_takeover.h"

#include <filesystem>

#include "engine/state/state_key.h"
#include "engine/windows/window_header.h"

namespace millrace {
namespace {

// The keyed operator of a task (worker/task.cpp); the only one there is.
constexpr uint16_t kWindowOperator = 1;

bool IsOneWhole(const std::vector<SavedPart>& parts, const KeyGroupSet& wanted) {
  return parts.size() == 1 && parts.front().prefix.empty() &&
         parts.front().groups.held == wanted.count();
}

}  // namespace

StateTakeover::StateTakeover(std::shared_ptr<StateMemory> memory, CheckpointStorage* storage,
                             int64_t linked_bytes_min)
    : memory_(std::move(memory)), storage_(storage), linked_bytes_min_(linked_bytes_min) {}

Result<std::unique_ptr<StateStore>> StateTakeover::Open(
    const std::vector<const proto::TaskState*>& saved, TaskStateOptions* options) {
  const std::string& folder = options->folder;
  wanted_ = KeyGroupSet::OfTask(options->index, options->parallelism);
  ARROW_ASSIGN_OR_RAISE(auto parts, FindSavedParts(saved, wanted_, storage_, folder + ".groups"));
  if (IsOneWhole(parts, wanted_)) {
    ARROW_ASSIGN_OR_RAISE(options->restored,
                          RestoreStateFolder(*parts.front().task, storage_, folder));
    return OpenRocksStateStore({folder, memory_});
  }
  const TakenParts taken = ChooseTaken(std::move(parts), linked_bytes_min_);
  stores_count_ = int32_t(taken.linked.size()) + (taken.copied.empty() ? 0 : 1);
  for (const SavedPart& part : taken.linked) ARROW_RETURN_NOT_OK(Link(part, options));
  if (!taken.copied.empty()) ARROW_RETURN_NOT_OK(Copy(taken.copied, folder));
  std::unique_ptr<StateStore> store = taken.linked.empty()
                                          ? std::move(stores_.front().store)
                                          : MakePartedStateStore(std::move(stores_));
  ARROW_RETURN_NOT_OK(WriteHeader(store.get()));
  return store;
}

Status StateTakeover::Link(const SavedPart& part, TaskStateOptions* options) {
  const std::string name = PartName(stores_.size());
  const std::string folder = options->folder + "/" + name;
  ARROW_ASSIGN_OR_RAISE(auto tables, RestoreStateFolder(*part.task, storage_, folder, part.prefix,
                                                        /*as=*/name + "/"));
  options->restored.merge(tables);
  ARROW_ASSIGN_OR_RAISE(auto store,
                        OpenRocksStateStore({folder, memory_, part.groups, stores_count_}));
  ARROW_RETURN_NOT_OK(NoteHeader(*part.task, store.get()));
  stores_.push_back({part.groups.own, std::move(store)});
  return Status::OK();
}

Status StateTakeover::Copy(const std::vector<SavedPart>& parts, const std::string& folder) {
  KeyGroupSet groups;
  for (const SavedPart& part : parts) groups |= part.groups.own;
  RocksStateOptions fresh{folder, memory_};
  if (!stores_.empty()) {
    fresh = {folder + "/" + PartName(stores_.size()), memory_, PartGroups{groups, groups.count()},
             stores_count_};
  }
  ARROW_ASSIGN_OR_RAISE(auto store, OpenRocksStateStore(std::move(fresh)));
  for (const SavedPart& part : parts) {
    ARROW_RETURN_NOT_OK(CopyFrom(part, folder + ".from", store.get()));
  }
  stores_.push_back({groups, std::move(store)});
  return Status::OK();
}

Status StateTakeover::CopyFrom(const SavedPart& part, const std::string& aside, StateStore* into) {
  ARROW_RETURN_NOT_OK(RestoreStateFolder(*part.task, storage_, aside, part.prefix).status());
  {
    ARROW_ASSIGN_OR_RAISE(auto from, OpenRocksStateStore({aside, memory_, part.groups}));
    ARROW_RETURN_NOT_OK(NoteHeader(*part.task, from.get()));
    ARROW_RETURN_NOT_OK(
        CopyKeyGroups(from.get(), into, kWindowOperator, KeyGroup(0), KeyGroup(kKeyGroupCount)));
  }
  std::error_code error;  // what stays is removed by the next start
  std::filesystem::remove_all(aside, error);
  return Status::OK();
}

Status StateTakeover::NoteHeader(const proto::TaskState& task, StateStore* store) {
  if (!noted_.insert(task.index()).second) return Status::OK();
  const std::string own = StateOperatorKey(kWindowOperator);
  ARROW_ASSIGN_OR_RAISE(const auto entry, store->Scan(own, own + std::string(1, '\0')));
  if (!entry->Valid()) return entry->status();
  const KeyGroupSet had = KeyGroupSet::OfTask(task.index(), task.parallelism());
  const bool counts = wanted_.Contains(had.FirstFrom(KeyGroup(0)));
  (counts ? headers_ : headers_without_counts_).emplace_back(entry->value());
  return Status::OK();
}

Status StateTakeover::WriteHeader(StateStore* store) const {
  std::vector<std::string> merged;
  for (const auto* some : {&headers_, &headers_without_counts_}) {
    if (some->empty()) continue;
    ARROW_ASSIGN_OR_RAISE(const std::string header,
                          MergeWindowHeaders(*some, /*with_counts=*/some == &headers_));
    merged.push_back(header);
  }
  if (merged.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const std::string header, MergeWindowHeaders(merged, /*with_counts=*/true));
  StateBatch batch;
  batch.Put(StateOperatorKey(kWindowOperator), header);
  return store->Write(std::move(batch));
}

}  // namespace millrace
