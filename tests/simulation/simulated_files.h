// The folder of a file sink, and the local store of a task's state.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/connectors/files/roll_writer.h"
#include "engine/state/memory_state_store.h"
#include "tests/simulation/simulated_storage.h"

namespace millrace::simulation {

// Where final files of the sink stand, and where they are written.
inline constexpr const char* kFinalFolder = "final/";
inline constexpr const char* kAsideFolder = "aside/";
// Where they are moved by people.
inline constexpr const char* kMovedFolder = "moved/";

// A roll becomes files of three rows each. `log` says what may be published.
std::unique_ptr<RollWriter> MakeRollWriter(Site* site, Disk* disk, const LogState* log);
struct FinalName {
  std::string generation;
  int32_t shard = 0;
  int64_t epoch = 0;
};
FinalName ParseFinalName(const std::string& path);

// Lines of every final file, also of those that were moved away; and the sink's register.
std::vector<std::string> FinalLines(const Disk& disk);
std::optional<proto::Register> FileRegister(const Disk& disk);

// The text of a row, columns separated by '|'.
std::string RowText(const arrow::RecordBatch& batch, int64_t row);

// A store whose checkpoints are made of files that are shared between epochs, as RocksDB's are: the
// changes of each epoch in a table of its own, from time to time one table of everything, and a
// list of tables. `later` runs what the product does on the store's thread.
class TableStore final : public StateStore {
 public:
  using Later = std::function<void(std::function<void()>)>;
  TableStore(LocalFiles* local, Later later) : local_(local), later_(std::move(later)) {}
  // What a checkpoint left in `folder` of the local files.
  Status Open(const std::string& folder);

  Status Write(StateBatch batch) override;
  Result<std::unique_ptr<StateIterator>> Scan(std::string_view first,
                                              std::string_view last) override {
    return entries_.Scan(first, last);
  }
  void Checkpoint(Epoch epoch, const std::string& folder,
                  std::function<void(Result<StateCheckpoint>)> done) override;
  StateStoreStats stats() const override { return entries_.stats(); }

 private:
  Result<std::string> Everything();
  LocalFiles* local_;
  Later later_;
  MemoryStateStore entries_;
  std::string changes_;              // since the last table
  std::vector<std::string> tables_;  // names, oldest first
  std::map<std::string, std::string> bytes_;
  int next_number_ = 1;
};

}  // namespace millrace::simulation
