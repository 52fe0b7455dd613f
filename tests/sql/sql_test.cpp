// Runs every file of cases (tests/sql/README.md) in four ways: in one task, in four, killed half
// way and restored in another number of tasks, and shuffled. All must give what the file says.
#include <gtest/gtest.h>
#include <simdjson.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <regex>

#include "engine/model/job_file.h"
#include "tests/sql/case_file.h"
#include "tools/millrace/job_testing.h"

namespace millrace::test {
namespace {

constexpr size_t kDealtPartitions = 4;
constexpr double kRelative = 1e-12;

enum class Way { kOneTask, kFourTasks, kKilledAndRestored, kShuffled };

// As the cases write a value.
std::string CellOf(simdjson::ondemand::value value) {
  static const std::regex kTime(R"((\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d*?)0*Z)");
  switch (value.type().value()) {
    case simdjson::ondemand::json_type::null:
      return "NULL";
    case simdjson::ondemand::json_type::string: {
      const std::string text(value.get_string().value());
      std::smatch parts;
      if (std::regex_match(text, parts, kTime)) {
        const std::string fraction = parts[3] == "." ? "" : parts[3].str();
        return parts[1].str() + " " + parts[2].str() + fraction;
      }
      return text.empty() ? "''" : text;
    }
    default: {
      std::string raw(simdjson::to_json_string(value).value());
      while (!raw.empty() && std::isspace(static_cast<unsigned char>(raw.back()))) raw.pop_back();
      return raw;
    }
  }
}

std::string RowOf(const std::string& line) {
  simdjson::ondemand::parser parser;
  const simdjson::padded_string json(line);
  auto document = parser.iterate(json);
  std::string row;
  for (auto field : document.get_object()) {
    row += (row.empty() ? "" : " | ") + CellOf(field.value().value());
  }
  return row;
}

std::string LetterOf(const std::string& line) {
  simdjson::ondemand::parser parser;
  const simdjson::padded_string json(line);
  auto document = parser.iterate(json);
  std::string letter(document["reason"].get_string().value());
  return letter + " | " + std::string(document["message"].get_string().value());
}

Lines CellsOf(const std::string& row) {
  Lines cells;
  size_t begin = 0;
  for (size_t end; (end = row.find(" | ", begin)) != std::string::npos; begin = end + 3) {
    cells.push_back(row.substr(begin, end - begin));
  }
  cells.push_back(row.substr(begin));
  return cells;
}

bool SameCell(const std::string& a, const std::string& b) {
  if (a == b) return true;
  // Doubles only: everything else is exact.
  if (a.find_first_of(".e") == std::string::npos) return false;
  char* a_end;
  char* b_end;
  const double x = std::strtod(a.c_str(), &a_end), y = std::strtod(b.c_str(), &b_end);
  if (*a_end != '\0' || *b_end != '\0' || a.empty() || b.empty()) return false;
  return std::fabs(x - y) <= kRelative * std::max(std::fabs(x), std::fabs(y));
}

bool SameRow(const std::string& a, const std::string& b) {
  const Lines left = CellsOf(a), right = CellsOf(b);
  return std::ranges::equal(left, right, SameCell);
}

// Rows in any order; tells what is missing and what is too much.
void ExpectSame(const Lines& expected, Lines found, const std::string& where) {
  std::string missing;
  for (const std::string& row : expected) {
    const auto same = std::ranges::find_if(found, [&](const auto& r) { return SameRow(row, r); });
    if (same == found.end()) {
      missing += "  expected: " + row + "\n";
    } else {
      found.erase(same);
    }
  }
  for (const std::string& row : found) missing += "  found:    " + row + "\n";
  EXPECT_EQ(missing, "") << where;
}

std::string Indented(const std::string& text, const std::string& by) {
  std::istringstream lines(text);
  std::string indented;
  for (std::string line; std::getline(lines, line);) indented += by + line + "\n";
  return indented;
}

std::string JobText(const SqlFile& file, const std::vector<const SqlCase*>& cases) {
  std::string text =
      "apiVersion: millrace.dev/v1\nkind: StreamJob\nmetadata: {name: cases}\nspec:\n"
      "  streams:\n" +
      Indented(file.streams, "    ");
  std::string sinks;
  if (!file.lookups.empty()) sinks = "  lookups:\n" + Indented(file.lookups, "    ");
  sinks += "  sinks:\n";
  for (const SqlCase* one : cases) {
    text += "    " + one->name + ":\n      sql: |\n" + Indented(one->sql, "        ");
    if (one->helper) continue;
    sinks += "    - {stream: " + one->name + ", files: {path: " + one->name + "}}\n";
  }
  return text + sinks;
}

JobSpec ReadJob(const std::string& text, Diagnostics* diagnostics) {
  *diagnostics = Diagnostics("cases.yaml", text);
  const auto none = [](const std::string&) { return std::optional<std::string>(); };
  return ReadJobFile({none, none}, diagnostics);
}

// All errors and warnings, "message; hint" a line.
std::string Messages(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& item : diagnostics.items()) {
    if (item.severity == Severity::kWarning) continue;
    text += item.message + (item.hint.empty() ? "" : "; " + item.hint) + "\n";
  }
  return text;
}

class SqlCases : public testing::TestWithParam<std::string> {
 protected:
  // Hundreds of jobs would mostly wait for a disk to sync; what needs one is tested elsewhere.
  static void SetUpTestSuite() {
    if (access("/dev/shm", W_OK) != 0) return;
    setenv("TMPDIR", "/dev/shm", /*overwrite=*/0);  // NOLINT(concurrency-mt-unsafe): no threads yet
  }

  void SetUp() override {
    Result<SqlFile> file = ReadSqlFile(GetParam());
    ASSERT_TRUE(file.ok()) << file.status();
    file_ = std::move(*file);
    ASSERT_FALSE(file_.cases.empty());
  }

  std::string Where(const SqlCase& one) const {
    return GetParam() + ":" + std::to_string(one.line);
  }

  // Those for which `wanted`, after the streams that they may read.
  template <typename Wanted>
  std::vector<const SqlCase*> WithHelpers(Wanted wanted) const {
    std::vector<const SqlCase*> cases;
    for (const SqlCase& one : file_.cases) {
      if (one.helper || wanted(one)) cases.push_back(&one);
    }
    return cases;
  }

  void Fill(World* world, Way way, std::mt19937_64* random) const {
    for (const SqlInput& input : file_.inputs) {
      auto& partitions = world->input[input.stream];
      partitions = input.partitions;
      if (!input.fixed && way != Way::kOneTask) {
        Lines lines = std::move(partitions.front());
        if (way == Way::kShuffled) std::ranges::shuffle(lines, *random);
        // So many that each has a half before the kill and one after it.
        const size_t dealt = std::clamp<size_t>(lines.size() / 2, 1, kDealtPartitions);
        partitions.assign(dealt, {});
        for (size_t i = 0; i < lines.size(); ++i) partitions[i % dealt].push_back(lines[i]);
      }
      for (const Lines& lines : partitions) {
        world->rows_per_partition = std::max(world->rows_per_partition, int64_t(lines.size()));
      }
    }
    world->rows_per_poll = way == Way::kOneTask ? 10'000 : 2;
  }

  static bool ReadTo(World* world, int64_t rows) {
    return world->Await([&] {
      for (const auto& [stream, partitions] : world->input) {
        for (size_t i = 0; i < partitions.size(); ++i) {
          const auto read = world->seen.read.find({stream, int32_t(i)});
          const int64_t wanted = std::min(rows, int64_t(partitions[i].size()));
          if (read != world->seen.read.end() && read->second < wanted) return false;
        }
      }
      return !world->seen.read.empty() || world->input.empty();
    });
  }

  void RunAll(World* world, const TestJob& job, Way way) const {
    LifeOptions options;
    options.parallelism = way == Way::kOneTask ? 1 : way == Way::kFourTasks ? 4 : 3;
    if (way == Way::kKilledAndRestored) {
      const int64_t half = world->rows_per_partition / 2;
      world->Release(half);
      Life first(world, job, options);
      ASSERT_TRUE(first.Start().ok());
      ASSERT_TRUE(ReadTo(world, half));
      ASSERT_TRUE(
          world->AwaitCheckpoints(world->Look([&] { return world->seen.checkpoints; }) + 2));
      first.Kill();
      world->Release(INT64_MAX);
      options.parallelism = 2;
    }
    Life life(world, job, options);
    ASSERT_TRUE(life.Start().ok());
    const Status ended = life.Wait();
    ASSERT_TRUE(ended.ok()) << ended.ToString();
    life.ExpectBalanced();
  }

  // `cases` in one job.
  void Check(const std::vector<const SqlCase*>& cases, Way way, std::mt19937_64* random) const {
    Diagnostics diagnostics("", "");
    JobSpec spec = ReadJob(JobText(file_, cases), &diagnostics);
    ASSERT_FALSE(diagnostics.has_errors()) << diagnostics.Render();
    TestJob job(std::move(spec));
    job.Plan();
    ASSERT_FALSE(job.diagnostics().has_errors()) << job.diagnostics().Render();
    World world;
    world.lookups = file_.lookup_rows;
    Fill(&world, way, random);
    world.sinks.resize(cases.size());
    RunAll(&world, job, way);
    Lines letters, expected_letters;
    for (const std::string& line : world.LinesOf("letters")) letters.push_back(LetterOf(line));
    for (const SqlCase* one : cases) {
      if (one->helper) continue;
      Lines rows;
      for (const std::string& line : world.LinesOf(one->name)) rows.push_back(RowOf(line));
      ExpectSame(one->rows, rows, Where(*one));
      expected_letters.insert(expected_letters.end(), one->letters.begin(), one->letters.end());
    }
    ExpectSame(expected_letters, letters, GetParam() + ": dead letters");
  }

  // In one task, what leaves dead letters runs alone, so that each is its own query's. In the other
  // ways only what refuses readings does: a reading is one dead letter for all queries.
  static bool RunsAlone(const SqlCase& one, Way way) {
    static constexpr std::array kOfReadings = std::to_array<std::string_view>(
        {"malformed", "type_mismatch", "number_out_of_range", "missing_event_time", "late"});
    if (way == Way::kOneTask) return !one.letters.empty();
    return std::ranges::any_of(one.letters, [](const std::string& letter) {
      return std::ranges::find(kOfReadings, letter.substr(0, letter.find(' '))) !=
             kOfReadings.end();
    });
  }

  void RunAsIn(Way way, uint64_t seed = 0) const {
    std::mt19937_64 random(seed);
    bool together = false;
    for (const SqlCase& one : file_.cases) {
      if (one.helper || one.fails) continue;
      if (RunsAlone(one, way)) {
        Check(WithHelpers([&](const SqlCase& other) { return &other == &one; }), way, &random);
      } else {
        together = true;
      }
    }
    if (!together) return;
    Check(WithHelpers([&](const SqlCase& one) { return !one.fails && !RunsAlone(one, way); }), way,
          &random);
  }

  SqlFile file_;
};

TEST_P(SqlCases, InOneTask) { RunAsIn(Way::kOneTask); }
TEST_P(SqlCases, InFourTasks) { RunAsIn(Way::kFourTasks); }
TEST_P(SqlCases, KilledAndRestored) { RunAsIn(Way::kKilledAndRestored); }

// A reading that is within the delay may come at any time: nothing depends on when.
TEST_P(SqlCases, Shuffled) {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    SCOPED_TRACE(seed);
    RunAsIn(Way::kShuffled, seed);
  }
}

TEST_P(SqlCases, Errors) {
  for (const SqlCase& one : file_.cases) {
    if (!one.fails) continue;
    const auto cases = WithHelpers([&](const SqlCase& other) { return &other == &one; });
    Diagnostics diagnostics("", "");
    const JobSpec spec = ReadJob(JobText(file_, cases), &diagnostics);
    if (!diagnostics.has_errors()) PlanJob(spec, &diagnostics);
    EXPECT_EQ(Messages(diagnostics), one.error) << Where(one);
  }
}

std::vector<std::string> Files() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(MILLRACE_SQL_CASES)) {
    files.push_back(entry.path().string());
  }
  std::ranges::sort(files);
  return files;
}

INSTANTIATE_TEST_SUITE_P(Files, SqlCases, testing::ValuesIn(Files()), [](const auto& file) {
  return std::filesystem::path(file.param).stem().string();
});

}  // namespace
}  // namespace millrace::test
