#include "tests/simulation/simulated_storage.h"

#include <arrow/buffer.h>
#include <arrow/io/memory.h>

#include <algorithm>

#include "engine/storage/checksum.h"
#include "engine/storage/savepoints.h"

namespace millrace::simulation {
namespace {

constexpr const char* kRoot = "store/";

std::string Serialise(const proto::Manifest& manifest) { return manifest.SerializeAsString(); }

class Storage final : public CheckpointStorage {
 public:
  Storage(Site* site, Disk* disk, LocalFiles* local) : site_(site), disk_(disk), local_(local) {}

  Result<std::unique_ptr<StoredFileWriter>> Create(const std::string& path) override {
    if (!site_->Step()) return Died();
    if (disk_->Has(kRoot + path)) {
      site_->world->Fail(site_->name() + " makes a stored file that is there: " + path);
      return ExternalError("file_exists", path, Retry::kNo);
    }
    disk_->Create(kRoot + path);
    return std::make_unique<Writer>(site_, disk_, path);
  }

  Result<proto::StoredFile> Upload(const std::string& local_path,
                                   const std::string& path) override {
    ARROW_ASSIGN_OR_RAISE(auto writer, Create(path));
    const auto found = local_->find(local_path);
    if (found == local_->end()) return InternalError("no_such_file", local_path);
    ARROW_RETURN_NOT_OK(writer->Write(found->second));
    ARROW_ASSIGN_OR_RAISE(proto::StoredFile file, writer->Finish());
    file.set_local_name(local_path.substr(local_path.rfind('/') + 1));
    return file;
  }

  Status Download(const proto::StoredFile& file, const std::string& local_path) override {
    if (!site_->Step()) return Died();
    ARROW_ASSIGN_OR_RAISE(const std::string bytes, Whole(file));
    (*local_)[local_path] = bytes;
    return Status::OK();
  }

  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Read(
      const proto::StoredFile& file) override {
    if (!site_->Step()) return Died();
    const Disk::File* const found = disk_->Find(kRoot + file.path());
    if (found == nullptr) return Damaged(file.path(), "it is missing");
    if (int64_t(found->bytes.size()) != file.bytes()) {
      return Damaged(file.path(), "it has another size");
    }
    return std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(found->bytes));
  }

  // Also called from threads without a fiber (Recover verifies files side by side).
  Status Verify(const proto::StoredFile& file) override {
    if (!site_->Step()) return Died();
    return Whole(file).status();
  }

  Result<proto::StoredFile> WriteManifest(const proto::Manifest& manifest) override {
    const std::string path = "manifests/" + std::to_string(manifest.epoch()) + "-" +
                             std::to_string(manifest.term()) + ".manifest";
    ARROW_ASSIGN_OR_RAISE(auto writer, Create(path));
    ARROW_RETURN_NOT_OK(writer->Write(Serialise(manifest)));
    return writer->Finish();
  }

  Result<proto::Manifest> ReadManifest(const proto::StoredFile& file) override {
    if (!site_->Step()) return Died();
    ARROW_ASSIGN_OR_RAISE(const std::string bytes, Whole(file));
    proto::Manifest manifest;
    if (!manifest.ParseFromString(bytes)) return Damaged(file.path(), "it holds no manifest");
    return manifest;
  }

  Result<std::vector<std::string>> List() override {
    if (!site_->Step()) return Died();
    std::vector<std::string> paths;
    for (const char* folder : {"manifests/", "outbox/", "state/"}) {
      for (const std::string& path : disk_->List(std::string(kRoot) + folder)) {
        paths.push_back(path.substr(std::string_view(kRoot).size()));
      }
    }
    return paths;
  }

  Status Remove(const std::vector<std::string>& paths) override {
    for (const std::string& path : paths) {
      if (!site_->Step()) return Died();
      site_->world->Trace(site_->name() + " removes " + path);
      if (path.starts_with("savepoints/")) site_->world->Fail("a savepoint's file is removed");
      disk_->Remove(kRoot + path);
    }
    return Status::OK();
  }

  Status WriteSavepoint(const std::string& name, const proto::Manifest& manifest) override {
    proto::Manifest made = manifest;
    if (site_->world->bug != Bug::kSavepointWithOutbox) {
      ARROW_ASSIGN_OR_RAISE(made, SavepointManifest(name, manifest));
    }
    const std::string folder = "savepoints/" + name + "/";
    for (const std::string& path : FilesOf(made)) {
      const Disk::File* const found = disk_->Find(kRoot + path);
      if (found == nullptr) return Damaged(path, "it is missing");
      Put(folder + path, found->bytes);
    }
    Put(folder + "manifest", Serialise(made));
    return Status::OK();
  }

  Result<proto::Manifest> ReadSavepoint(const std::string& name) override {
    const std::string folder = "savepoints/" + name + "/";
    const Disk::File* const found = disk_->Find(kRoot + folder + "manifest");
    if (found == nullptr) return UserError("savepoint_missing", name);
    proto::Manifest manifest;
    manifest.ParseFromString(found->bytes);
    PrefixPaths(folder, &manifest);
    for (proto::ShardState& shard : *manifest.mutable_shards()) PrefixSegments(folder, &shard);
    return manifest;
  }

  Result<std::vector<std::string>> ListSavepoints() override { return std::vector<std::string>(); }
  Status RemoveSavepoint(const std::string&) override { return Status::OK(); }
  const std::string& root() const override { return root_; }

 private:
  class Writer final : public StoredFileWriter {
   public:
    Writer(Site* site, Disk* disk, std::string path)
        : site_(site), disk_(disk), path_(std::move(path)) {}
    ~Writer() override {
      if (!finished_ && !site_->dead()) disk_->Remove(kRoot + path_);
    }
    Status Write(std::string_view bytes) override {
      if (!site_->Step()) return Died();
      if (Disk::File* const file = disk_->Find(kRoot + path_)) file->bytes += bytes;
      bytes_ += bytes;
      return Status::OK();
    }
    Result<proto::StoredFile> Finish() override {
      if (!site_->Step()) return Died();
      Mark(&Disk::File::bytes_safe);
      if (!site_->Step()) return Died();
      Mark(&Disk::File::name_safe);
      if (!site_->Step()) return Died();
      finished_ = true;
      site_->world->Trace(site_->name() + " stored " + path_);
      proto::StoredFile file;
      file.set_path(path_);
      file.set_bytes(bytes());
      file.set_checksum(Checksum(bytes_));
      return file;
    }
    int64_t bytes() const override { return int64_t(bytes_.size()); }

   private:
    void Mark(bool Disk::File::*what) {
      if (Disk::File* const file = disk_->Find(kRoot + path_)) file->*what = true;
    }
    Site* site_;
    Disk* disk_;
    const std::string path_;
    std::string bytes_;
    bool finished_ = false;
  };

  static Status Damaged(const std::string& path, const std::string& what) {
    return ExternalError("checkpoint_damaged", path + " is damaged: " + what, Retry::kNo);
  }
  Result<std::string> Whole(const proto::StoredFile& file) const {
    const Disk::File* const found = std::as_const(*disk_).Find(kRoot + file.path());
    if (found == nullptr) return Damaged(file.path(), "it is missing");
    if (int64_t(found->bytes.size()) != file.bytes() || Checksum(found->bytes) != file.checksum()) {
      return Damaged(file.path(), "its content is another");
    }
    return found->bytes;
  }
  void Put(const std::string& path, const std::string& bytes) {
    disk_->Create(kRoot + path);
    *disk_->Find(kRoot + path) = {bytes, true, true};
  }
  static void PrefixSegments(const std::string& folder, proto::ShardState* shard) {
    const auto prefix = [&](auto* segments) {
      for (proto::Segment& segment : *segments) {
        segment.mutable_file()->set_path(folder + segment.file().path());
      }
    };
    prefix(shard->mutable_segments());
    for (proto::FileSinkState& sink : *shard->mutable_files()) {
      prefix(sink.mutable_open());
      for (proto::FileRoll& roll : *sink.mutable_rolls()) prefix(roll.mutable_segments());
    }
  }

  Site* site_;
  Disk* disk_;
  LocalFiles* local_;
  const std::string root_ = "store";
};

class Log final : public MetadataLog {
 public:
  Log(Site* site, LogState* state) : site_(site), state_(state) {}

  Result<std::vector<IndexedEntry>> Read() override {
    if (!site_->Step()) return Died();
    auto entries = state_->Read();
    if (!site_->Step()) return Died();
    return entries;
  }
  Result<AppendResult> Append(int64_t index, const proto::LogEntry& entry) override {
    if (!site_->Step()) return Died();
    if (!state_->Link(index, entry, *site_)) return AppendResult::kTaken;
    if (!site_->Step()) return Died();
    state_->Sync();
    if (!site_->Step()) return Died();
    return state_->Counts(index) ? AppendResult::kAppended : AppendResult::kTaken;
  }
  Status RemoveBefore(int64_t index) override {
    if (!site_->Step()) return Died();
    state_->RemoveBefore(index);
    return Status::OK();
  }

 private:
  Site* site_;
  LogState* state_;
};

}  // namespace

std::unique_ptr<CheckpointStorage> MakeStorage(Site* site, Disk* disk, LocalFiles* local) {
  return std::make_unique<Storage>(site, disk, local);
}

std::unique_ptr<MetadataLog> MakeLog(Site* site, LogState* state) {
  return std::make_unique<Log>(site, state);
}

std::vector<IndexedEntry> LogState::Read() const {
  std::vector<IndexedEntry> entries;
  for (const auto& [index, linked] : entries_) {
    if (index >= floor_) entries.push_back({index, linked.entry});
  }
  return entries;
}

bool LogState::Link(int64_t index, const proto::LogEntry& entry, const Site& site) {
  if (entries_.contains(index)) return false;
  if (Counts(index)) {
    entry.has_claim() ? CheckClaim(entry, site) : CheckManifest(entry, site);
  }
  entries_[index] = {entry, false};
  commits_ += entry.has_manifest();
  world_->Trace(
      site.name() + " adds to the log at " + std::to_string(index) + ": term " +
      std::to_string(entry.term()) +
      (entry.has_claim() ? " claimed" : ", epoch " + std::to_string(entry.manifest().epoch())));
  return true;
}

void LogState::CheckClaim(const proto::LogEntry& entry, const Site& site) {
  if (entry.term() <= term()) world_->Fail("a term is claimed twice");
  owners_[entry.term()] = site.number;
}

void LogState::CheckManifest(const proto::LogEntry& entry, const Site& site) {
  const auto owner = owners_.find(entry.term());
  if (entry.term() != term() || owner == owners_.end() || owner->second != site.number) {
    world_->Fail(site.name() + " commits in term " + std::to_string(entry.term()) +
                 ", which is not its own");
  }
  int64_t last = 0;
  for (const auto& [generation, epoch] : committed_) last = std::max(last, epoch);
  for (const IndexedEntry& counted : Read()) {
    last = std::max(last, counted.entry.manifest().epoch());
  }
  if (entry.manifest().epoch() <= last) {
    world_->Fail("epoch " + std::to_string(entry.manifest().epoch()) +
                 " is committed after epoch " + std::to_string(last));
  }
}

void LogState::Sync() {
  for (auto& [index, linked] : entries_) linked.safe = true;
}

void LogState::RemoveBefore(int64_t index) {
  if (entries_.empty()) return;
  index = std::min(index, entries_.rbegin()->first);
  const int64_t counted = floor_;
  floor_ = std::max(floor_, index);
  while (entries_.begin()->first < index) {
    const proto::LogEntry& entry = entries_.begin()->second.entry;
    if (entry.has_manifest() && entries_.begin()->first >= counted) {
      int64_t& epoch = committed_[entry.manifest().generation()];
      epoch = std::max(epoch, entry.manifest().epoch());
    }
    entries_.erase(entries_.begin());
  }
}

void LogState::CrashMachine(Random* random) {
  while (!entries_.empty() && !entries_.rbegin()->second.safe && random->Chance(500)) {
    entries_.erase(std::prev(entries_.end()));
  }
  Sync();
}

int64_t LogState::term() const {
  int64_t term = 0;
  for (const IndexedEntry& counted : Read()) term = std::max(term, counted.entry.term());
  return term;
}

int64_t LogState::CommittedEpoch(const std::string& generation) const {
  const auto removed = committed_.find(generation);
  int64_t last = removed == committed_.end() ? 0 : removed->second;
  for (auto linked = entries_.lower_bound(floor_); linked != entries_.end(); ++linked) {
    const proto::ManifestPointer& manifest = linked->second.entry.manifest();
    if (manifest.generation() == generation) last = std::max(last, manifest.epoch());
  }
  return last;
}

const proto::ManifestPointer* LogState::Newest() const {
  for (auto linked = entries_.rbegin(); linked != entries_.rend(); ++linked) {
    if (linked->second.entry.has_manifest()) return &linked->second.entry.manifest();
  }
  return nullptr;
}

}  // namespace millrace::simulation
