#include "engine/storage/savepoints.h"

#include <algorithm>
#include <cctype>

namespace millrace {
namespace {

constexpr size_t kNameLettersMax = 200;

bool IsPublished(const proto::ShardState& shard, const proto::Segment& segment) {
  return segment.epoch() <= shard.published_epoch() ||
         segment.first_row() + segment.rows() <= shard.published_row();
}

void Prefix(const std::string& prefix, proto::StoredFile* file) {
  file->set_path(prefix + file->path());
}

}  // namespace

Status CheckSavepointName(const std::string& name) {
  const bool fits = !name.empty() && name.size() <= kNameLettersMax &&
                    std::all_of(name.begin(), name.end(), [](unsigned char c) {
                      return c < 0x80 && (std::isalnum(c) || c == '-' || c == '_');
                    });
  if (fits) return Status::OK();
  return UserError("bad_savepoint_name",
                   "a savepoint's name has 1 to 200 letters, digits, '-' and '_': '" + name + "'");
}

Result<proto::Manifest> SavepointManifest(const std::string& name,
                                          const proto::Manifest& manifest) {
  proto::Manifest made = manifest;
  made.set_savepoint(name);
  for (proto::ShardState& shard : *made.mutable_shards()) {
    bool published = std::all_of(shard.segments().begin(), shard.segments().end(),
                                 [&](const auto& segment) { return IsPublished(shard, segment); });
    for (const proto::FileSinkState& sink : shard.files()) {
      published = published && sink.open().empty() && sink.rolls().empty();
    }
    if (!published) {
      return InternalError("savepoint_with_output", "shard " + std::to_string(shard.shard()) +
                                                        " has rows that are not published");
    }
    shard.clear_segments();
  }
  return made;
}

void PrefixPaths(const std::string& prefix, proto::Manifest* manifest) {
  for (proto::TaskState& task : *manifest->mutable_tasks()) {
    for (proto::StoredFile& file : *task.mutable_files()) Prefix(prefix, &file);
  }
}

}  // namespace millrace
