#include "engine/state/state_store.h"

namespace millrace {

Status MemoryStateStore::Put(std::string_view key, std::string_view value) {
  entries_.insert_or_assign(std::string(key), std::string(value));
  return Status::OK();
}

Status MemoryStateStore::Delete(std::string_view key) {
  if (const auto entry = entries_.find(key); entry != entries_.end()) entries_.erase(entry);
  return Status::OK();
}

Status MemoryStateStore::Scan(
    std::string_view first, std::string_view last,
    const std::function<Status(std::string_view, std::string_view)>& visit) {
  for (auto entry = entries_.lower_bound(first); entry != entries_.end(); ++entry) {
    if (!last.empty() && entry->first >= last) break;
    ARROW_RETURN_NOT_OK(visit(entry->first, entry->second));
  }
  return Status::OK();
}

Status MemoryStateStore::Commit(Epoch epoch) {
  if (epoch <= committed_) {
    return InternalError("epoch_went_back", "state of epoch " + std::to_string(epoch.value()) +
                                                " committed after epoch " +
                                                std::to_string(committed_.value()));
  }
  committed_ = epoch;
  return Status::OK();
}

}  // namespace millrace
