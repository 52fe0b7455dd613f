// A folder that one file sink writes into. A file is written aside, under a name that readers of
// such folders skip, and renamed when it is complete:
//
//   .inprogress-<nonce>-<name>  ->  [date=2022-06-13/]<name>
//   name: <job>-<generation>-<sink>-<shard>-<epoch>-<n>.<ending>
//
// Invariants: what stands under a final name is complete and, on a local disk, survives a crash of
// the machine; a final name is never written again; what a process left aside when it died is
// removed by the next start of the same job.
#pragma once

#include <arrow/filesystem/filesystem.h>
#include <arrow/io/interfaces.h>

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/status.h"
#include "engine/connectors/files/roll_writer.h"

namespace millrace {

// A failure to write to `path` as one of ours: "disk_full" (external, no retry: the job goes on
// from its last checkpoint once there is space), "file_write_failed".
Status FileWriteError(const Status& status, const std::string& path);

// A file of an OutputFolder that is being written.
struct OutputFile {
  std::string aside;
  std::string folder;  // in which it will stand
  std::string name;
  // Null where the file is complete already: then there is nothing to write.
  std::shared_ptr<arrow::io::OutputStream> stream;
};

class OutputFolder {
 public:
  // `ending` without the dot: "parquet".
  OutputFolder(std::string path, std::string ending, RollWriterOptions options);

  // RollWriter's.
  Result<std::vector<std::string>> Leftovers();
  Status RemoveLeftovers(const std::vector<std::string>& leftovers);
  Status Open();

  // File `number` of a roll, in `partition` (below the folder, "" or "a=1/b=2").
  Result<OutputFile> Begin(const RollName& name, const std::string& partition, int64_t number);
  // Closes it and gives it its final name. False where that is taken meanwhile. After a failure
  // the file is gone.
  Result<bool> Finish(OutputFile* file);
  // Removes it; failures do not matter.
  void Abandon(OutputFile* file);

  // RollWriter's.
  Result<std::optional<std::string>> ReadRegister();
  Status WriteRegister(std::string_view bytes);

  const std::string& path() const { return path_; }

 private:
  Status MakeFolder(const std::string& path);
  Status SyncFolders(std::string folder);
  Status Probe();
  bool IsLeftover(std::string_view name) const;
  Result<bool> Exists(const std::string& path);
  std::string RegisterAsideEnd() const { return "-register-" + options_.job + "-" + options_.sink; }
  std::string RegisterPath() const {
    return path_ + "/.millrace-" + options_.job + "-" + options_.sink;
  }

  std::string path_;
  const std::string ending_;
  const RollWriterOptions options_;
  const bool local_;
};

}  // namespace millrace
