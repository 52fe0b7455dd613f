// A folder that one file sink writes into. A file is written aside, under a name that readers of
// such folders skip (`.inprogress-...`, in the folder itself), and renamed when it is complete:
//
//   .inprogress-<job>-<generation>-<sink>-<n>.parquet  ->  [date=2022-06-13/]<job>-...-<n>.parquet
//
// Invariants: what stands under a final name is complete; a final name is never overwritten; what a
// process left aside when it died is removed or finished by the next start of the same job. The
// same job must not run twice into one folder.
#pragma once

#include <arrow/filesystem/filesystem.h>
#include <arrow/io/interfaces.h>

#include <cstdint>
#include <memory>
#include <string>

#include "engine/base/status.h"
#include "engine/env/clock.h"

namespace millrace {

struct FileSinkOptions {
  std::string job;
  // Unique to each start of the job: letters and digits.
  std::string generation;
  // The sink within its job; enters file names.
  std::string sink;
  std::shared_ptr<const Clock> clock;
  std::shared_ptr<arrow::fs::FileSystem> filesystem;
};

// A failure to write to `path` as one of ours: "disk_full" (external, no retry: what was given to
// the sink is lost to it, and the job goes on from its last checkpoint), "file_write_failed".
Status FileWriteError(const Status& status, const std::string& path);

// An open file of an OutputFolder.
struct FileAside {
  std::string path;  // where it is written
  std::string name;  // its last name, without folders
  std::shared_ptr<arrow::io::OutputStream> stream;
};

class OutputFolder {
 public:
  enum class Leftovers {
    kRemove,  // their rows are read again
    kFinish,  // lines: the part up to the last line end becomes a complete file
  };

  // `ending` without the dot: "parquet".
  OutputFolder(std::string path, std::string ending, FileSinkOptions options);

  // Makes the folder, sees that a file can be made in it, and settles leftovers of earlier
  // generations. User error "unwritable_path".
  Status Open(Leftovers leftovers);

  Result<FileAside> Begin();
  // Closes and renames it into `partition` (below the folder, "" or "a=1/b=2"). On failure as Fail.
  Status Finish(FileAside* file, const std::string& partition);
  // Closes and removes it; failures do not matter.
  void Abandon(FileAside* file);
  // After a failed write: as Abandon, but where leftovers are finished it is left to that.
  void Fail(FileAside* file);

  const std::string& path() const { return path_; }
  const FileSinkOptions& options() const { return options_; }

 private:
  std::string Join(const std::string& name) const { return path_ + "/" + name; }
  bool IsLeftover(const std::string& name) const;
  Status Settle(const std::string& name);
  Status FinishLeftover(const std::string& path, const std::string& name);

  std::string path_;
  std::string ending_;
  FileSinkOptions options_;
  std::string job_;  // as file names have it
  std::string sink_;
  Leftovers leftovers_ = Leftovers::kRemove;
  int64_t next_number_ = 0;
};

}  // namespace millrace
