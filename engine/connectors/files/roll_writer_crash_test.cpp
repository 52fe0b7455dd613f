// What a roll leaves when its process dies, its disk is full or another process does it too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/connectors/files/fault_file_system.h"
#include "engine/connectors/files/roll_writer.h"

namespace millrace {
namespace {

using Files = std::map<std::string, std::string>;

enum class Kind { kParquet, kJson, kCsv, kDeadLetters };

std::string CodeOf(const Status& status) {
  const ErrorDetail* detail = ErrorDetail::Of(status);
  return detail == nullptr ? status.ToString() : detail->code();
}

// bool: whether the folder is known to be local.
class RollWriterCrashTest : public testing::TestWithParam<std::tuple<Kind, bool>> {
 protected:
  // `run` is given a file system with faults, and the folder's path in it.
  template <typename Run>
  void WithFileSystem(const std::string& root, const Run& run) {
    if (std::get<1>(GetParam())) {
      run(std::make_shared<FaultLocalFileSystem>(), root + "/out");
    } else {
      run(std::make_shared<FaultFileSystem>(root), "out");
    }
  }

  std::unique_ptr<RollWriter> Writer(std::shared_ptr<arrow::fs::FileSystem> filesystem,
                                     const std::string& path, const std::string& nonce) {
    const RollWriterOptions options = {std::move(filesystem), nonce, "job", "out"};
    FilesSinkSpec lines = {.path = path, .format = Format::kJson, .roll_bytes = 60};
    ParquetSinkSpec parquet = {.path = path, .partition_by = {"site"}, .roll_bytes = 50};
    switch (std::get<0>(GetParam())) {
      case Kind::kParquet:
        return *MakeParquetRollWriter(parquet, schema_, -1, options);
      case Kind::kJson:
        return *MakeLinesRollWriter(lines, schema_, options);
      case Kind::kCsv:
        lines.format = Format::kCsv;
        lines.roll_bytes = 40;
        return *MakeLinesRollWriter(lines, schema_, options);
      case Kind::kDeadLetters:
        lines.roll_bytes = 25;
        return MakeDeadLetterRollWriter(lines, options);
    }
    return nullptr;
  }

  Result<RollResult> Write(
      RollWriter* writer, const std::function<void()>& between = [] {}) {
    return writer->Write({"job", "g", "out", 1, 5}, [&](const RollWriter::Visit& visit) -> Status {
      for (int64_t begin = 0; begin < 12; begin += 4) {
        auto batch = Batch(begin);
        if (std::get<0>(GetParam()) == Kind::kDeadLetters) batch = *batch->SelectColumns({0});
        ARROW_RETURN_NOT_OK(visit(*batch));
        if (begin == 4) between();
      }
      return Status::OK();
    });
  }

  std::shared_ptr<arrow::RecordBatch> Batch(int64_t begin) {
    arrow::StringBuilder sites;
    arrow::Int64Builder values;
    for (int64_t i = begin; i < begin + 4; ++i) {
      EXPECT_TRUE(sites.Append("site-" + std::to_string(i % 3)).ok());
      EXPECT_TRUE(values.Append(i).ok());
    }
    return arrow::RecordBatch::Make(schema_.ToArrow(), 4, {*sites.Finish(), *values.Finish()});
  }

  // What an undisturbed roll leaves.
  Files Expected() {
    const TestFolder folder;
    WithFileSystem(folder.path(), [&](auto filesystem, const std::string& path) {
      auto writer = Writer(filesystem, path, "n");
      EXPECT_TRUE(writer->Open().ok());
      const auto result = Write(writer.get());
      EXPECT_TRUE(result.ok()) << result.status().ToString();
      EXPECT_EQ(result->rows, 12);
    });
    Files files = folder.Files();
    EXPECT_GT(files.size(), 2u);
    for (const auto& [name, text] : files) EXPECT_FALSE(IsAside(name)) << name;
    return files;
  }

  static bool IsAside(const std::string& name) {
    return name.find(".inprogress-") != std::string::npos;
  }
  // Every file that has its final name is as it should be.
  static void ExpectPart(const Files& files, const Files& expected) {
    for (const auto& [name, text] : files) {
      if (IsAside(name)) continue;
      ASSERT_EQ(expected.count(name), 1u) << name;
      ASSERT_TRUE(text == expected.at(name)) << name;
    }
  }

  Schema schema_{{{"site", Type::kText, ""}, {"value", Type::kBigint, ""}}};
};

std::string NameOf(const testing::TestParamInfo<std::tuple<Kind, bool>>& instance) {
  constexpr const char* kNames[] = {"Parquet", "Json", "Csv", "DeadLetters"};
  return std::string(kNames[size_t(std::get<0>(instance.param))]) +
         (std::get<1>(instance.param) ? "Local" : "Other");
}

INSTANTIATE_TEST_SUITE_P(Kinds, RollWriterCrashTest,
                         testing::Combine(testing::Values(Kind::kParquet, Kind::kJson, Kind::kCsv,
                                                          Kind::kDeadLetters),
                                          testing::Bool()),
                         NameOf);

TEST_P(RollWriterCrashTest, ADeathAfterAnyOperationIsMadeGood) {
  const Files expected = Expected();
  int64_t deaths = 0;
  for (bool died = true; died; ++deaths) {
    const TestFolder folder;
    WithFileSystem(folder.path(), [&](auto filesystem, const std::string& path) {
      auto writer = Writer(filesystem, path, "n1");
      ASSERT_TRUE(writer->Open().ok());
      filesystem->set_operations_left(deaths);
      const bool written = Write(writer.get()).ok();
      died = filesystem->dead();
      EXPECT_EQ(written, !died);
    });
    const Files after = folder.Files();
    ExpectPart(after, expected);
    int64_t complete = 0;
    for (const auto& [name, text] : after) complete += !IsAside(name);
    WithFileSystem(folder.path(), [&](auto filesystem, const std::string& path) {
      auto writer = Writer(filesystem, path, "n2");
      ASSERT_TRUE(writer->RemoveLeftovers(writer->Leftovers().ValueOrDie()).ok());
      ASSERT_TRUE(writer->Open().ok());
      const auto result = Write(writer.get());
      ASSERT_TRUE(result.ok()) << result.status().ToString();
      EXPECT_EQ(result->files_found, complete);
      EXPECT_EQ(result->files_written, int64_t(expected.size()) - complete);
      EXPECT_EQ(result->rows, 12);
    });
    ASSERT_TRUE(folder.Files() == expected) << "after " << deaths << " operations";
  }
  EXPECT_GT(deaths, int64_t(expected.size()) * 3);
}

TEST_P(RollWriterCrashTest, AFullDiskLeavesNothingHalf) {
  const Files expected = Expected();
  int64_t bytes_max = 0;
  for (const auto& [name, text] : expected) bytes_max += int64_t(text.size());
  const int64_t step = std::max<int64_t>(1, bytes_max / 20);
  for (int64_t bytes = 0; bytes < bytes_max; bytes += step) {
    const TestFolder folder;
    WithFileSystem(folder.path(), [&](auto filesystem, const std::string& path) {
      auto writer = Writer(filesystem, path, "n1");
      ASSERT_TRUE(writer->Open().ok());
      filesystem->set_bytes_left(bytes);
      const Status status = Write(writer.get()).status();
      ASSERT_EQ(CodeOf(status), "disk_full");
      EXPECT_EQ(ErrorDetail::Of(status)->domain(), ErrorDomain::kExternal);
      const Files after = folder.Files();
      for (const auto& [name, text] : after) ASSERT_FALSE(IsAside(name)) << name;
      ExpectPart(after, expected);
      filesystem->set_bytes_left(INT64_MAX);
      ASSERT_TRUE(Write(writer.get()).ok());
      ASSERT_TRUE(folder.Files() == expected);
    });
  }
}

TEST_P(RollWriterCrashTest, AProcessThatSleptAddsNothing) {
  const Files expected = Expected();
  const TestFolder folder;
  WithFileSystem(folder.path(), [&](auto filesystem, const std::string& path) {
    auto zombie = Writer(filesystem, path, "n1");
    ASSERT_TRUE(zombie->Open().ok());
    Write(zombie.get(),
          [&] {
            auto successor = Writer(filesystem, path, "n2");
            ASSERT_TRUE(successor->RemoveLeftovers(successor->Leftovers().ValueOrDie()).ok());
            ASSERT_TRUE(successor->Open().ok());
            const auto result = Write(successor.get());
            ASSERT_TRUE(result.ok()) << result.status().ToString();
          })
        .status()
        .ok();  // whether it notices does not matter
  });
  EXPECT_TRUE(folder.Files() == expected);
}

TEST_P(RollWriterCrashTest, DoneTwiceIsDoneOnce) {
  const Files expected = Expected();
  const TestFolder folder;
  WithFileSystem(folder.path(), [&](auto filesystem, const std::string& path) {
    auto writer = Writer(filesystem, path, "n1");
    ASSERT_TRUE(writer->Open().ok());
    ASSERT_TRUE(Write(writer.get()).ok());
    const auto again = Write(writer.get());
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->files_written, 0);
    EXPECT_EQ(again->files_found, int64_t(expected.size()));
    EXPECT_EQ(again->bytes, 0);
  });
  EXPECT_TRUE(folder.Files() == expected);
}

}  // namespace
}  // namespace millrace
