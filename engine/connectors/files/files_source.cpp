#include "engine/connectors/files/files_source.h"

#include <arrow/array.h>

#include "engine/connectors/files/file_listing.h"
#include "engine/connectors/files/file_reader.h"

namespace millrace {
namespace {

constexpr size_t kFilesMax = 256;
constexpr int64_t kChunkRowsMax = 8192;
constexpr int64_t kBlockBytesTotal = 64 << 20;

Status TooManyFiles(size_t count) {
  return UserError("too_many_files", "the stream reads " + std::to_string(count) +
                                         " files; at most " + std::to_string(kFilesMax) +
                                         " can be read together, so join some of them");
}

// What readers share; immutable.
struct FilesInput {
  SourceStreamSpec spec;
  std::vector<int> used_columns;
  FileColumns columns;
  std::shared_ptr<arrow::fs::FileSystem> filesystem;
  std::string stream;

  Result<std::unique_ptr<FileReader>> Open(const std::string& path, int32_t block_bytes) const {
    return OpenSourceFile(spec, used_columns, columns, path, block_bytes, filesystem.get());
  }
};

// Leaves out rows before `offset` of a chunk.
SourceBatch From(SourceBatch batch, int64_t offset) {
  std::erase_if(batch.rejected, [&](const auto& record) { return record.offset < offset; });
  const auto& offsets = batch.rows.origins->offsets;
  const auto first = std::lower_bound(offsets.begin(), offsets.end(), offset);
  const int64_t skipped = first - offsets.begin();
  if (skipped == 0) return batch;

  class Shifted final : public OriginalRecords {
   public:
    Shifted(std::shared_ptr<const OriginalRecords> all, int64_t by)
        : all_(std::move(all)), by_(by) {}
    std::string_view ValueOfRow(int64_t row) const override { return all_->ValueOfRow(row + by_); }
    std::string_view KeyOfRow(int64_t row) const override { return all_->KeyOfRow(row + by_); }

   private:
    const std::shared_ptr<const OriginalRecords> all_;
    const int64_t by_;
  };
  batch.originals = std::make_shared<Shifted>(batch.originals, skipped);
  auto origins = std::make_shared<Origins>(Origins{batch.partition, {first, offsets.end()}, {}});
  const auto& indexes = batch.rows.origins->indexes;
  if (!indexes.empty()) origins->indexes.assign(indexes.begin() + skipped, indexes.end());
  batch.rows.origins = std::move(origins);
  batch.rows.batch = batch.rows.batch->Slice(skipped);
  batch.record_timestamps.resize(size_t(batch.rows.size()));
  return batch;
}

class FilesReader final : public SourceReader {
 public:
  explicit FilesReader(std::shared_ptr<const FilesInput> input) : input_(std::move(input)) {}

  Status Start(const std::vector<StartPosition>& positions) override {
    if (positions.size() > kFilesMax) return TooManyFiles(positions.size());
    const auto count = int64_t(std::max<size_t>(positions.size(), 1));
    const auto block = std::clamp<int64_t>(kBlockBytesTotal / count, 256 << 10, 1 << 20);
    for (const StartPosition& position : positions) {
      OpenFile file;
      file.partition = position.partition;
      file.start = position.offset.value_or(0);
      ARROW_ASSIGN_OR_RAISE(file.reader, input_->Open(position.partition.topic, int32_t(block)));
      files_.push_back(std::move(file));
    }
    return Status::OK();
  }

  Result<Polled> Poll(int64_t rows_max) override {
    Polled polled;
    if (files_.empty()) return polled;
    const auto least =
        std::min_element(files_.begin(), files_.end(),
                         [](const OpenFile& a, const OpenFile& b) { return a.time < b.time; });
    const int64_t rows = std::clamp<int64_t>(rows_max, 1, kChunkRowsMax);
    ARROW_ASSIGN_OR_RAISE(auto batch, least->reader->Next(rows));
    if (!batch.has_value()) {
      SourceEvent ended;
      ended.kind = SourceEvent::Kind::kPartitionEnded;
      ended.partition = least->partition;
      ended.offset = least->position;
      polled.events.push_back(std::move(ended));
      files_.erase(least);
    } else {
      Advance(*batch, &*least);
      if (batch->next_offset > least->start) {
        polled.batches.push_back(From(std::move(*batch), least->start));
      }
    }
    polled.more = !files_.empty();
    return polled;
  }

  // Poll says `more` until all files have ended, so there is nothing to wake up for.
  void SetWakeUp(std::function<void()>) override {}
  Status Commit(const std::vector<CommittedPosition>&) override { return Status::OK(); }
  int64_t LagRecords() const override { return files_.empty() ? 0 : -1; }
  void Stop() override { files_.clear(); }

 private:
  struct OpenFile {
    TopicPartition partition;
    std::unique_ptr<FileReader> reader;
    int64_t start = 0;         // the first row that is wanted
    int64_t position = 0;      // the next row
    int64_t time = INT64_MIN;  // the largest event time read
  };

  void Advance(const SourceBatch& batch, OpenFile* file) const {
    file->position = batch.next_offset;
    const int column = input_->columns.event_time;
    if (column < 0) return;
    const auto& times =
        static_cast<const arrow::TimestampArray&>(*batch.rows.batch->column(column));
    for (int64_t row = 0; row < times.length(); ++row) {
      file->time = std::max(file->time, times.Value(row));
    }
  }

  const std::shared_ptr<const FilesInput> input_;
  std::vector<OpenFile> files_;
};

class FilesSource final : public Source {
 public:
  explicit FilesSource(std::shared_ptr<const FilesInput> input) : input_(std::move(input)) {}

  Result<Partitions> Discover(Micros) override {
    const auto& spec = std::get<FilesSourceSpec>(input_->spec.input);
    auto listed = ListFiles(spec.paths, input_->spec.format, input_->filesystem.get());
    if (!listed.ok()) return WithContext(listed.status(), "stream " + input_->stream);
    if (listed->size() > kFilesMax) {
      return WithContext(TooManyFiles(listed->size()), "stream " + input_->stream);
    }
    Partitions partitions;
    for (const std::string& path : *listed) partitions.partitions.push_back({path, 0});
    return partitions;
  }

  Result<std::unique_ptr<SourceReader>> MakeReader() override {
    return std::make_unique<FilesReader>(input_);
  }
  bool bounded() const override { return true; }

 private:
  const std::shared_ptr<const FilesInput> input_;
};

}  // namespace

Result<std::unique_ptr<Source>> MakeFilesSource(const SourceNode& node, const PlanNode& plan_node,
                                                std::shared_ptr<arrow::fs::FileSystem> filesystem) {
  const auto* files = std::get_if<FilesSourceSpec>(&node.spec.input);
  if (files == nullptr) return InternalError("bad_source", plan_node.stream + " reads no files");
  auto input = std::make_shared<FilesInput>();
  input->spec = node.spec;
  input->used_columns = node.used_columns;
  input->filesystem = std::move(filesystem);
  input->stream = plan_node.stream;
  input->columns = FileColumnsOf(node.spec, node.used_columns);
  return std::make_unique<FilesSource>(std::move(input));
}

}  // namespace millrace
