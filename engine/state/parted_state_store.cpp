#include "engine/state/parted_state_store.h"

#include <algorithm>
#include <array>
#include <mutex>

#include "engine/state/rocks_options.h"
#include "engine/state/state_folders.h"
#include "engine/state/state_key.h"

namespace millrace {
namespace {

// Stands at the least entry of all parts; in ranges of few parts, so they are looked at one by one.
class PartedIterator final : public StateIterator {
 public:
  explicit PartedIterator(std::vector<std::unique_ptr<StateIterator>> parts)
      : parts_(std::move(parts)) {
    Choose();
  }

  bool Valid() const override { return current_ != nullptr; }
  std::string_view key() const override { return current_->key(); }
  std::string_view value() const override { return current_->value(); }

  // Entries of a part come in rows: up to where another one goes on, only it is looked at.
  void Next() override {
    current_->Next();
    if (!current_->Valid() || (has_other_ && current_->key() >= other_)) Choose();
  }

  void Seek(std::string_view key) override {
    for (const auto& part : parts_) part->Seek(key);
    Choose();
  }

  Status status() const override {
    for (const auto& part : parts_) ARROW_RETURN_NOT_OK(part->status());
    return Status::OK();
  }

 private:
  void Choose() {
    current_ = nullptr;
    has_other_ = false;
    if (!status().ok()) return;
    for (const auto& part : parts_) {
      // An operator's own entry is in all parts, and given out once.
      if (current_ != nullptr && part->Valid() && part->key() == current_->key()) part->Next();
      if (!part->Valid()) continue;
      StateIterator* candidate = part.get();
      if (current_ == nullptr || candidate->key() < current_->key()) std::swap(candidate, current_);
      if (candidate != nullptr && (!has_other_ || candidate->key() < other_)) {
        other_ = candidate->key();
        has_other_ = true;
      }
    }
  }

  std::vector<std::unique_ptr<StateIterator>> parts_;
  StateIterator* current_ = nullptr;
  std::string_view other_;  // the least key of the others, which stay where they are
  bool has_other_ = false;
};

// One checkpoint of all parts. The last of them to be done, on its thread, completes it.
class PartedCheckpoint {
 public:
  using Done = std::function<void(Result<StateCheckpoint>)>;

  PartedCheckpoint(StateCheckpoint checkpoint, std::string aside, size_t parts, rocksdb::Env* env,
                   Done done)
      : checkpoint_(std::move(checkpoint)),
        aside_(std::move(aside)),
        env_(env),
        done_(std::move(done)),
        left_(parts) {}

  void Add(size_t part, Result<StateCheckpoint> made) {
    {
      const std::lock_guard lock(mutex_);
      if (made.ok()) {
        for (StateFile& file : made->files) {
          checkpoint_.files.push_back({PartName(part) + "/" + file.name, file.bytes});
        }
      } else if (failure_.ok()) {
        failure_ = made.status();
      }
      if (--left_ > 0) return;
    }
    done_(Complete());
  }

 private:
  Result<StateCheckpoint> Complete() {
    ARROW_RETURN_NOT_OK(failure_);
    if (env_->FileExists(checkpoint_.folder).ok()) {
      return InternalError("checkpoint_folder_exists", checkpoint_.folder + " exists already");
    }
    ARROW_RETURN_NOT_OK(FromRocks(RenameFolder(env_, aside_, checkpoint_.folder),
                                  "state_write_failed",
                                  "cannot gather a checkpoint into " + checkpoint_.folder));
    std::ranges::sort(checkpoint_.files, {}, &StateFile::name);
    return std::move(checkpoint_);
  }

  StateCheckpoint checkpoint_;
  const std::string aside_;
  rocksdb::Env* const env_;
  const Done done_;
  std::mutex mutex_;
  size_t left_;
  Status failure_;
};

class PartedStateStore final : public StateStore {
 public:
  PartedStateStore(std::vector<StorePart> parts, rocksdb::Env* env)
      : parts_(std::move(parts)), env_(env) {
    part_of_.fill(-1);
    for (size_t part = 0; part < parts_.size(); ++part) {
      for (int32_t group = 0; group < kKeyGroupCount; ++group) {
        if (parts_[part].groups.Contains(KeyGroup(group))) part_of_[size_t(group)] = int(part);
      }
    }
  }

  Status Write(StateBatch batch) override;
  Result<std::unique_ptr<StateIterator>> Scan(std::string_view first,
                                              std::string_view last) override;
  void Checkpoint(Epoch epoch, const std::string& folder,
                  std::function<void(Result<StateCheckpoint>)> done) override;
  StateStoreStats stats() const override;
  bool IsBehind() const override {
    return std::ranges::any_of(parts_, [](const auto& part) { return part.store->IsBehind(); });
  }

 private:
  // -1: of none.
  int PartOf(std::string_view key) const {
    const KeyGroup group = GroupOfStateKey(key);
    return group.value() < kKeyGroupCount ? part_of_[size_t(group.value())] : -1;
  }

  std::vector<StorePart> parts_;
  rocksdb::Env* const env_;
  std::array<int, size_t(kKeyGroupCount)> part_of_;
};

Status PartedStateStore::Write(StateBatch batch) {
  if (parts_.size() == 1) return parts_.front().store->Write(std::move(batch));
  std::vector<StateBatch> split(parts_.size());
  bool foreign = false;
  batch.ForEach([&](StateBatch::Kind kind, std::string_view key, std::string_view second) {
    const auto add = [&](StateBatch& to) {
      switch (kind) {
        case StateBatch::Kind::kPut:
          return to.Put(key, second);
        case StateBatch::Kind::kDelete:
          return to.Delete(key);
        case StateBatch::Kind::kDeleteRange:
          return to.DeleteRange(key, second);
      }
    };
    if (kind == StateBatch::Kind::kDeleteRange || IsOperatorKey(key)) {
      for (StateBatch& each : split) add(each);
    } else if (const int part = PartOf(key); part >= 0) {
      add(split[size_t(part)]);
    } else {
      foreign = true;
    }
  });
  if (foreign) {
    return InternalError("state_of_another_task", "an entry is of a key group of another task");
  }
  for (size_t part = 0; part < parts_.size(); ++part) {
    ARROW_RETURN_NOT_OK(parts_[part].store->Write(std::move(split[part])));
  }
  return Status::OK();
}

Result<std::unique_ptr<StateIterator>> PartedStateStore::Scan(std::string_view first,
                                                              std::string_view last) {
  std::vector<std::unique_ptr<StateIterator>> iterators;
  for (const StorePart& part : parts_) {
    ARROW_ASSIGN_OR_RAISE(auto iterator, part.store->Scan(first, last));
    iterators.push_back(std::move(iterator));
  }
  if (iterators.size() == 1) return std::move(iterators.front());
  auto iterator = std::make_unique<PartedIterator>(std::move(iterators));
  ARROW_RETURN_NOT_OK(iterator->status());
  return iterator;
}

void PartedStateStore::Checkpoint(Epoch epoch, const std::string& folder,
                                  std::function<void(Result<StateCheckpoint>)> done) {
  const std::string aside = folder + ".parts";
  const auto whole = std::make_shared<PartedCheckpoint>(StateCheckpoint{epoch, folder, {}}, aside,
                                                        parts_.size(), env_, std::move(done));
  for (size_t part = 0; part < parts_.size(); ++part) {
    parts_[part].store->Checkpoint(
        epoch, aside + "/" + PartName(part),
        [whole, part](Result<StateCheckpoint> made) { whole->Add(part, std::move(made)); });
  }
}

StateStoreStats PartedStateStore::stats() const {
  StateStoreStats sum;
  for (const StorePart& part : parts_) {
    const StateStoreStats of = part.store->stats();
    sum.queued_bytes += of.queued_bytes;
    sum.disk_bytes += of.disk_bytes;
    sum.memory_bytes += of.memory_bytes;
  }
  return sum;
}

}  // namespace

std::string PartName(size_t part) { return "p" + std::to_string(part); }

std::unique_ptr<StateStore> MakePartedStateStore(std::vector<StorePart> parts, rocksdb::Env* env) {
  return std::make_unique<PartedStateStore>(std::move(parts), env);
}

}  // namespace millrace
