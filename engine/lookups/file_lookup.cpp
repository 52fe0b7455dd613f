#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/connectors/files/file_listing.h"
#include "engine/connectors/files/file_reader.h"
#include "engine/lookups/lookup_feed.h"

namespace millrace {
namespace {

constexpr int64_t kRowsAtOnce = 8192;
constexpr int32_t kBlockBytes = 1 << 20;

Status BadRow(const SourceBatch& batch, const RejectedRecord& record) {
  return UserError("bad_lookup_row", batch.partition.topic + ", row " +
                                         std::to_string(record.offset) + ": " + record.message);
}

class FileReading {
 public:
  FileReading(const LookupSpec& spec, const LookupLayout& layout, const LookupLimits& limits,
              arrow::fs::FileSystem* filesystem, const std::atomic<bool>* stopping)
      : used_(layout.columns),
        filesystem_(filesystem),
        stopping_(stopping),
        builder_(layout, limits, LookupTableBuilder::Kind::kTable) {
    source_.input = spec.input;
    source_.format = spec.format;
    source_.csv = spec.csv;
    source_.columns = spec.columns;
    columns_ = FileColumnsOf(source_, used_);
  }

  Result<std::shared_ptr<const LookupTable>> Read() {
    const auto& files = std::get<FilesSourceSpec>(source_.input);
    ARROW_ASSIGN_OR_RAISE(const auto paths, ListFiles(files.paths, source_.format, filesystem_));
    for (const std::string& path : paths) ARROW_RETURN_NOT_OK(ReadFile(path));
    return builder_.Finish();
  }

 private:
  Status ReadFile(const std::string& path) {
    ARROW_ASSIGN_OR_RAISE(const auto reader,
                          OpenSourceFile(source_, used_, columns_, path, kBlockBytes, filesystem_));
    for (;;) {
      if (stopping_ != nullptr && *stopping_) {
        return ExternalError("stopped", "stopped while reading " + path, Retry::kNo);
      }
      ARROW_ASSIGN_OR_RAISE(auto batch, reader->Next(kRowsAtOnce));
      if (!batch.has_value()) return Status::OK();
      // A row that is left out would be a hole that nobody sees.
      if (!batch->rejected.empty()) return BadRow(*batch, batch->rejected.front());
      ARROW_RETURN_NOT_OK(builder_.Add(batch->rows.batch, {path, batch->rows.origins->offsets}));
    }
  }

  SourceStreamSpec source_;
  const std::vector<int> used_;
  FileColumns columns_;
  arrow::fs::FileSystem* const filesystem_;
  const std::atomic<bool>* const stopping_;
  LookupTableBuilder builder_;
};

class FileLookup final : public LookupFeed {
 public:
  FileLookup(std::shared_ptr<Lookup> lookup, std::shared_ptr<arrow::fs::FileSystem> filesystem,
             LookupFeedOptions options)
      : lookup_(std::move(lookup)),
        filesystem_(std::move(filesystem)),
        options_(std::move(options)) {}
  ~FileLookup() override {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  Status Open() {
    ARROW_RETURN_NOT_OK(Read(options_.stopping));
    if (lookup_->spec().refresh.has_value()) {
      thread_ = std::thread([this] { Refresh(*lookup_->spec().refresh); });
    }
    return Status::OK();
  }

 private:
  Status Read(const std::atomic<bool>* stopping) {
    ARROW_ASSIGN_OR_RAISE(auto table,
                          ReadLookupFiles(lookup_->spec(), lookup_->layout(), options_.limits,
                                          filesystem_.get(), stopping));
    const int64_t rows = table->rows();
    const int64_t without_key = table->rows_without_key();
    lookup_->Show(std::make_shared<LookupSnapshot>(std::vector{std::move(table)}, rows),
                  without_key, options_.clock->Wall());
    if (without_key > 0 && without_key != told_without_key_) {
      options_.warn("lookup " + lookup_->spec().name + ": " + std::to_string(without_key) +
                    " rows have a null in their key and are never found");
    }
    told_without_key_ = without_key;
    return Status::OK();
  }

  void Refresh(Micros every) {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, every, [this] { return ended_.load(); })) {
      lock.unlock();
      const Status status = Read(&ended_);
      if (!status.ok() && !ended_) {
        lookup_->CountFailure();
        options_.warn("a refresh failed, rows stay as they were: " + status.message());
      }
      lock.lock();
    }
  }

  const std::shared_ptr<Lookup> lookup_;
  const std::shared_ptr<arrow::fs::FileSystem> filesystem_;
  const LookupFeedOptions options_;
  int64_t told_without_key_ = 0;  // of the one thread that reads
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> ended_{false};  // set under mutex_
  std::thread thread_;
};

}  // namespace

Result<std::shared_ptr<const LookupTable>> ReadLookupFiles(const LookupSpec& spec,
                                                           const LookupLayout& layout,
                                                           const LookupLimits& limits,
                                                           arrow::fs::FileSystem* filesystem,
                                                           const std::atomic<bool>* stopping) {
  auto table = FileReading(spec, layout, limits, filesystem, stopping).Read();
  if (!table.ok()) return WithContext(table.status(), "lookup " + spec.name);
  return table;
}

Result<std::unique_ptr<LookupFeed>> OpenFileLookup(
    std::shared_ptr<Lookup> lookup, std::shared_ptr<arrow::fs::FileSystem> filesystem,
    LookupFeedOptions options) {
  auto feed =
      std::make_unique<FileLookup>(std::move(lookup), std::move(filesystem), std::move(options));
  ARROW_RETURN_NOT_OK(feed->Open());
  return feed;
}

}  // namespace millrace
