#include "worker/saved_parts.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "worker/task_state.h"

namespace millrace {
namespace {

Result<PartGroups> ReadGroups(const proto::StoredFile& file, CheckpointStorage* storage,
                              const std::string& aside) {
  std::error_code error;
  std::filesystem::create_directories(aside, error);  // a failure is the download's
  const std::string path = aside + "/" + std::string(PartGroups::kFileName);
  ARROW_RETURN_NOT_OK(storage->Download(file, path));
  std::ifstream input(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(input), {}};
  std::filesystem::remove_all(aside, error);  // what stays is removed by the next start
  return PartGroups::Decode(bytes);
}

// The groups of a part are its task's, all of them, unless it says otherwise.
Result<std::map<std::string, SavedPart>> PartsOf(const proto::TaskState& task,
                                                 CheckpointStorage* storage,
                                                 const std::string& aside) {
  std::map<std::string, SavedPart> parts;
  const KeyGroupSet all = KeyGroupSet::OfTask(task.index(), task.parallelism());
  for (const proto::StoredFile& file : task.files()) {
    const std::string prefix = PrefixOf(file);
    SavedPart& part =
        parts.try_emplace(prefix, SavedPart{&task, prefix, {all, all.count()}, 0}).first->second;
    const std::string_view name = std::string_view(file.local_name()).substr(prefix.size());
    if (name == PartGroups::kFileName) {
      ARROW_ASSIGN_OR_RAISE(part.groups, ReadGroups(file, storage, aside));
    } else if (name.ends_with(".sst")) {
      part.table_bytes += file.bytes();
      part.is_of_savepoint = part.is_of_savepoint || IsOfSavepoint(file);
    }
  }
  return parts;
}

}  // namespace

Result<std::vector<SavedPart>> FindSavedParts(const std::vector<const proto::TaskState*>& saved,
                                              const KeyGroupSet& wanted, CheckpointStorage* storage,
                                              const std::string& aside) {
  std::vector<SavedPart> found;
  KeyGroupSet covered;
  for (const proto::TaskState* task : saved) {
    if ((KeyGroupSet::OfTask(task->index(), task->parallelism()) & wanted).empty()) continue;
    ARROW_ASSIGN_OR_RAISE(auto parts, PartsOf(*task, storage, aside));
    for (auto& [prefix, part] : parts) {
      part.groups.own = part.groups.own & wanted;
      if (part.groups.own.empty()) continue;
      if (!(covered & part.groups.own).empty()) {
        return ExternalError("state_damaged",
                             "two stores of '" + task->operator_id() + "' have a key group of " +
                                 part.groups.own.ToString(),
                             Retry::kNo);
      }
      covered |= part.groups.own;
      found.push_back(std::move(part));
    }
  }
  if (!saved.empty() && covered != wanted) {
    return ExternalError("state_damaged",
                         "the checkpoint has no state of '" + saved.front()->operator_id() +
                             "' for some of the key groups " + wanted.ToString() + ": only for " +
                             covered.ToString(),
                         Retry::kNo);
  }
  std::ranges::sort(found, {},
                    [](const SavedPart& part) { return part.groups.own.FirstFrom(KeyGroup(0)); });
  return found;
}

TakenParts ChooseTaken(std::vector<SavedPart> parts, int64_t linked_bytes_min) {
  std::vector<size_t> by_size(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) by_size[i] = i;
  std::ranges::stable_sort(by_size, std::greater(), [&](size_t i) { return parts[i].own_bytes(); });
  const auto is_linkable = [&](size_t i) {
    const SavedPart& part = parts[i];
    const bool uploads_others =
        part.is_of_savepoint && 2 * part.groups.own.count() < part.groups.held;
    return part.own_bytes() >= linked_bytes_min && !uploads_others;
  };
  std::ranges::stable_partition(by_size, is_linkable);
  const size_t large = size_t(std::ranges::count_if(by_size, is_linkable));
  const bool all = large == parts.size() && large <= kPartsMax;
  const size_t linked = all ? large : std::min(large, kPartsMax - 1);
  std::vector<bool> is_linked(parts.size());
  for (size_t i = 0; i < linked; ++i) is_linked[by_size[i]] = true;
  TakenParts taken;
  for (size_t i = 0; i < parts.size(); ++i) {
    (is_linked[i] ? taken.linked : taken.copied).push_back(std::move(parts[i]));
  }
  return taken;
}

}  // namespace millrace
