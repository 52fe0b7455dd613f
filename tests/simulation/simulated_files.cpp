#include "tests/simulation/simulated_files.h"

#include <arrow/array.h>

#include <algorithm>
#include <cstring>
#include <sstream>

namespace millrace::simulation {
namespace {

constexpr size_t kRowsOfFile = 3;
constexpr int kTablesMax = 3;
constexpr const char* kTables = "TABLES";
constexpr const char* kRegisterFile = "register";

class Rolls final : public RollWriter {
 public:
  Rolls(Site* site, Disk* disk, const LogState* log) : site_(site), disk_(disk), log_(log) {}

  Result<std::vector<std::string>> Leftovers() override {
    if (!site_->Step()) return Died();
    return disk_->List(kAsideFolder);
  }
  Status RemoveLeftovers(const std::vector<std::string>& leftovers) override {
    for (const std::string& path : leftovers) {
      if (!site_->Step()) return Died();
      disk_->Remove(path);
    }
    return Status::OK();
  }
  Status Open() override { return Status::OK(); }
  Status Check(const Rows&, std::vector<uint32_t>*, std::vector<DeadLetter>*) override {
    return Status::OK();
  }
  std::string description() const override { return "simulated files"; }
  Result<std::optional<std::string>> ReadRegister() override {
    if (!site_->Step()) return Died();
    const Disk::File* const file = disk_->Find(kRegisterFile);
    if (file == nullptr) return std::optional<std::string>();
    return std::optional<std::string>(file->bytes);
  }
  Status WriteRegister(std::string_view bytes) override {
    const std::string aside = Aside() + "register";
    if (!site_->Step()) return Died();
    ARROW_RETURN_NOT_OK(WriteAside(aside, bytes));
    if (disk_->Has(kRegisterFile)) disk_->Remove(kRegisterFile);
    disk_->Rename(aside, kRegisterFile);
    disk_->Find(kRegisterFile)->name_safe = true;
    return Status::OK();
  }

  Result<RollResult> Write(const RollName& name,
                           const std::function<Status(const Visit&)>& each) override {
    if (name.epoch > log_->CommittedEpoch(name.generation)) {
      site_->world->Fail("the roll of epoch " + std::to_string(name.epoch) +
                         " is written before it is in the log");
    }
    std::vector<std::string> rows;
    ARROW_RETURN_NOT_OK(each([&](const arrow::RecordBatch& batch) {
      for (int64_t row = 0; row < batch.num_rows(); ++row) rows.push_back(RowText(batch, row));
      return Status::OK();
    }));
    RollResult result;
    for (size_t begin = 0, file = 0; begin < rows.size(); begin += kRowsOfFile, ++file) {
      const std::string path = kFinalFolder + name.generation + "-" + name.sink + "-" +
                               std::to_string(name.shard) + "-" + std::to_string(name.epoch) + "-" +
                               std::to_string(file);
      if (disk_->Has(path)) {
        ++result.files_found;
        continue;
      }
      std::string bytes;
      for (size_t row = begin; row < std::min(rows.size(), begin + kRowsOfFile); ++row) {
        bytes += rows[row] + "\n";
      }
      ARROW_RETURN_NOT_OK(WriteFile(path, bytes));
      ++result.files_written;
    }
    // The folder is synced also where every file was found: who made them may have died before.
    if (!site_->Step()) return Died();
    for (const std::string& path : disk_->List(kFinalFolder)) disk_->Find(path)->name_safe = true;
    result.rows = int64_t(rows.size());
    return result;
  }

 private:
  std::string Aside() const { return kAsideFolder + site_->name() + "-"; }

  // A successor that starts removes what is aside, at any moment.
  Status WriteAside(const std::string& aside, std::string_view bytes) {
    disk_->Create(aside);
    if (!site_->Step()) return Died();
    Disk::File* const file = disk_->Find(aside);
    if (file != nullptr) {
      file->bytes = bytes;
      file->bytes_safe = true;
    }
    if (!site_->Step()) return Died();
    if (disk_->Has(aside)) return Status::OK();
    return ExternalError("file_write_failed", "it is gone", Retry::kNo);
  }

  Status WriteFile(const std::string& path, const std::string& bytes) {
    const std::string aside = Aside() + path.substr(std::string_view(kFinalFolder).size());
    if (!site_->Step()) return Died();
    ARROW_RETURN_NOT_OK(WriteAside(aside, bytes));
    // Of two that write the same, one is enough.
    disk_->Has(path) ? disk_->Remove(aside) : disk_->Rename(aside, path);
    site_->world->Trace(site_->name() + " wrote " + path);
    return Status::OK();
  }

  Site* site_;
  Disk* disk_;
  const LogState* log_;
};

template <typename Array>
std::string Number(const arrow::Array& column, int64_t row) {
  std::ostringstream text;
  text << static_cast<const Array&>(column).Value(row);
  return text.str();
}

void AppendText(std::string_view text, std::string* bytes) {
  const uint32_t length = uint32_t(text.size());
  bytes->append(reinterpret_cast<const char*>(&length), sizeof(length));
  bytes->append(text);
}
std::string_view TakeText(std::string_view* bytes) {
  uint32_t length = 0;
  std::memcpy(&length, bytes->data(), sizeof(length));
  const std::string_view text = bytes->substr(sizeof(length), length);
  bytes->remove_prefix(sizeof(length) + length);
  return text;
}
void AppendChange(StateBatch::Kind kind, std::string_view key, std::string_view second,
                  std::string* bytes) {
  bytes->push_back(char(kind));
  AppendText(key, bytes);
  AppendText(second, bytes);
}

}  // namespace

std::unique_ptr<RollWriter> MakeRollWriter(Site* site, Disk* disk, const LogState* log) {
  return std::make_unique<Rolls>(site, disk, log);
}

FinalName ParseFinalName(const std::string& path) {
  std::vector<std::string> parts;
  std::istringstream name(path.substr(std::string_view(kFinalFolder).size()));
  for (std::string part; std::getline(name, part, '-');) parts.push_back(part);
  return {parts[0], int32_t(std::stoi(parts[2])), std::stoll(parts[3])};
}

std::vector<std::string> FinalLines(const Disk& disk) {
  std::vector<std::string> lines;
  for (const char* folder : {kFinalFolder, kMovedFolder}) {
    for (const std::string& path : disk.List(folder)) {
      std::istringstream bytes(disk.Find(path)->bytes);
      for (std::string line; std::getline(bytes, line);) lines.push_back(line);
    }
  }
  return lines;
}

std::optional<proto::Register> FileRegister(const Disk& disk) {
  const Disk::File* const file = disk.Find(kRegisterFile);
  proto::Register state;
  if (file == nullptr || !state.ParseFromString(file->bytes)) return std::nullopt;
  return state;
}

std::string RowText(const arrow::RecordBatch& batch, int64_t row) {
  std::string text;
  for (const auto& column : batch.columns()) {
    if (!text.empty()) text += "|";
    if (column->IsNull(row)) continue;
    switch (column->type_id()) {
      case arrow::Type::STRING:
        text += static_cast<const arrow::StringArray&>(*column).GetView(row);
        break;
      case arrow::Type::INT64:
        text += Number<arrow::Int64Array>(*column, row);
        break;
      case arrow::Type::DOUBLE:
        text += Number<arrow::DoubleArray>(*column, row);
        break;
      case arrow::Type::TIMESTAMP:
        text += Number<arrow::TimestampArray>(*column, row);
        break;
      default:
        text += "?";
    }
  }
  return text;
}

Status TableStore::Open(const std::string& folder) {
  std::istringstream names((*local_)[folder + "/" + kTables]);
  for (std::string name; std::getline(names, name);) {
    tables_.push_back(name);
    const std::string& table = bytes_[name] = (*local_)[folder + "/" + name];
    next_number_ = std::stoi(name) + 1;
    StateBatch batch;
    for (std::string_view rest(table); !rest.empty();) {
      const auto kind = StateBatch::Kind(rest[0]);
      rest.remove_prefix(1);
      const std::string_view key = TakeText(&rest);
      const std::string_view second = TakeText(&rest);
      if (kind == StateBatch::Kind::kPut) batch.Put(key, second);
      if (kind == StateBatch::Kind::kDelete) batch.Delete(key);
      if (kind == StateBatch::Kind::kDeleteRange) batch.DeleteRange(key, second);
    }
    ARROW_RETURN_NOT_OK(entries_.Write(std::move(batch)));
  }
  return Status::OK();
}

Status TableStore::Write(StateBatch batch) {
  batch.ForEach([&](StateBatch::Kind kind, std::string_view key, std::string_view second) {
    AppendChange(kind, key, second, &changes_);
  });
  return entries_.Write(std::move(batch));
}

Result<std::string> TableStore::Everything() {
  std::string table;
  ARROW_ASSIGN_OR_RAISE(const auto entries, entries_.Scan("", ""));
  for (; entries->Valid(); entries->Next()) {
    AppendChange(StateBatch::Kind::kPut, entries->key(), entries->value(), &table);
  }
  ARROW_RETURN_NOT_OK(entries->status());
  return table;
}

void TableStore::Checkpoint(Epoch epoch, const std::string& folder,
                            std::function<void(Result<StateCheckpoint>)> done) {
  if (!changes_.empty()) {
    const bool compact = int(tables_.size()) >= kTablesMax;
    auto table = compact ? Everything() : Result<std::string>(changes_);
    if (!table.ok()) return done(table.status());
    if (compact) tables_.clear();
    const std::string digits = std::to_string(next_number_++);
    tables_.push_back(std::string(6 - digits.size(), '0') + digits + ".sst");
    bytes_[tables_.back()] = *std::move(table);
    changes_.clear();
  }
  StateCheckpoint checkpoint{epoch, folder, {}};
  std::string names;
  const auto add = [&](const std::string& name, const std::string& bytes) {
    (*local_)[folder + "/" + name] = bytes;
    checkpoint.files.push_back({name, int64_t(bytes.size())});
  };
  for (const std::string& name : tables_) {
    names += name + "\n";
    add(name, bytes_[name]);
  }
  add(kTables, names);
  later_([done, checkpoint] { done(checkpoint); });
}

}  // namespace millrace::simulation
