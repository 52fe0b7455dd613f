#include "engine/state/memory_state_store.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

namespace millrace {
namespace {

constexpr std::string_view kMagic = "millrace state 1";

Status Damaged(const std::string& what) { return ExternalError("state_damaged", what, Retry::kNo); }

void AppendNumber(uint64_t number, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(&number), sizeof(number));
}

void AppendText(std::string_view text, std::string* bytes) {
  AppendNumber(text.size(), bytes);
  bytes->append(text);
}

// Take something off the front of `bytes`; empty where they are too short.
std::optional<uint64_t> TakeNumber(std::string_view* bytes) {
  uint64_t number = 0;
  if (bytes->size() < sizeof(number)) return std::nullopt;
  std::memcpy(&number, bytes->data(), sizeof(number));
  bytes->remove_prefix(sizeof(number));
  return number;
}

std::optional<std::string_view> TakeText(std::string_view* bytes) {
  const auto size = TakeNumber(bytes);
  if (!size || bytes->size() < *size) return std::nullopt;
  const std::string_view text = bytes->substr(0, *size);
  bytes->remove_prefix(*size);
  return text;
}

Result<StateCheckpoint> WriteFolder(Epoch epoch, const std::string& folder, std::string_view name,
                                    std::string_view bytes) {
  StateCheckpoint checkpoint{epoch, folder, {}};
  if (folder.empty()) return checkpoint;
  std::error_code error;
  if (std::filesystem::exists(folder, error)) {
    return InternalError("checkpoint_folder_exists", folder + " exists already");
  }
  std::filesystem::create_directories(folder, error);
  std::ofstream file(std::filesystem::path(folder) / name, std::ios::binary);
  file << bytes;
  file.close();
  if (!file) {
    return ExternalError("state_write_failed", "cannot write state into " + folder, Retry::kNo);
  }
  checkpoint.files.push_back({std::string(name), int64_t(bytes.size())});
  return checkpoint;
}

}  // namespace

class MemoryStateStore::Iterator final : public StateIterator {
 public:
  Iterator(std::shared_ptr<const Entries> entries, std::string_view first, std::string_view last)
      : entries_(std::move(entries)), first_(first), last_(last) {
    Seek(first);
  }

  bool Valid() const override {
    return entry_ != entries_->end() && (last_.empty() || entry_->first < last_);
  }
  std::string_view key() const override { return entry_->first; }
  std::string_view value() const override { return entry_->second; }
  void Next() override { ++entry_; }
  void Seek(std::string_view key) override {
    entry_ = entries_->lower_bound(std::max<std::string_view>(key, first_));
  }
  Status status() const override { return Status::OK(); }

 private:
  std::shared_ptr<const Entries> entries_;
  std::string first_;
  std::string last_;
  Entries::const_iterator entry_;
};

Result<std::unique_ptr<MemoryStateStore>> MemoryStateStore::Open(const std::string& folder) {
  const std::filesystem::path path = std::filesystem::path(folder) / kFileName;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return ExternalError("state_open_failed", "cannot read " + path.string(), Retry::kNo);
  }
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  auto store = std::make_unique<MemoryStateStore>();
  ARROW_RETURN_NOT_OK(WithContext(store->Restore(bytes), path.string()));
  return store;
}

MemoryStateStore::Entries* MemoryStateStore::Own() {
  if (entries_.use_count() > 1) entries_ = std::make_shared<Entries>(*entries_);
  return entries_.get();
}

Status MemoryStateStore::Write(StateBatch batch) {
  ARROW_RETURN_NOT_OK(failure_);
  Entries& entries = *Own();
  batch.ForEach([&](StateBatch::Kind kind, std::string_view key, std::string_view second) {
    switch (kind) {
      case StateBatch::Kind::kPut:
        entries.insert_or_assign(std::string(key), std::string(second));
        break;
      case StateBatch::Kind::kDelete:
        if (const auto entry = entries.find(key); entry != entries.end()) entries.erase(entry);
        break;
      case StateBatch::Kind::kDeleteRange:
        entries.erase(entries.lower_bound(key), entries.lower_bound(second));
        break;
    }
  });
  return Status::OK();
}

Result<std::unique_ptr<StateIterator>> MemoryStateStore::Scan(std::string_view first,
                                                              std::string_view last) {
  ARROW_RETURN_NOT_OK(failure_);
  return std::make_unique<Iterator>(entries_, first, last);
}

void MemoryStateStore::Checkpoint(Epoch epoch, const std::string& folder,
                                  std::function<void(Result<StateCheckpoint>)> done) {
  if (!failure_.ok()) return done(failure_);
  done(WriteFolder(epoch, folder, kFileName, folder.empty() ? std::string() : Serialise()));
}

StateStoreStats MemoryStateStore::stats() const {
  StateStoreStats stats;
  for (const auto& [key, value] : *entries_) stats.memory_bytes += key.size() + value.size();
  return stats;
}

std::string MemoryStateStore::Serialise() const {
  std::string bytes(kMagic);
  AppendNumber(entries_->size(), &bytes);
  for (const auto& [key, value] : *entries_) {
    AppendText(key, &bytes);
    AppendText(value, &bytes);
  }
  return bytes;
}

Status MemoryStateStore::Restore(std::string_view bytes) {
  if (!bytes.starts_with(kMagic)) return Damaged("these bytes are no saved state");
  bytes.remove_prefix(kMagic.size());
  auto entries = std::make_shared<Entries>();
  const auto count = TakeNumber(&bytes);
  if (!count) return Damaged("the saved state is cut short");
  for (uint64_t number = 0; number < *count; ++number) {
    const auto key = TakeText(&bytes);
    const auto value = key ? TakeText(&bytes) : std::nullopt;
    if (!value) return Damaged("the saved state is cut short");
    entries->emplace_hint(entries->end(), *key, *value);
  }
  if (!bytes.empty()) return Damaged("the saved state is longer than its entries");
  entries_ = std::move(entries);
  return Status::OK();
}

}  // namespace millrace
