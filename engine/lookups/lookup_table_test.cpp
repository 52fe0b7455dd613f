#include "engine/lookups/lookup_table.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <random>

#include "engine/base/status.h"
#include "engine/lookups/lookup_testing.h"

namespace millrace {
namespace {

using test::BatchOf;
using test::KeysOf;
using test::LookupOf;
using test::PlacesOf;
using test::TableOf;
using test::TimesOf;
using test::WholeLayout;
using testing::ElementsAre;
using testing::HasSubstr;
using Lines = std::vector<std::string>;

constexpr int32_t kNone = LookupTable::kNone;

std::vector<int32_t> Find(const LookupTable& table, const LookupKeys& keys) {
  std::vector<int32_t> rows(size_t(keys.size()));
  table.Find(keys, rows);
  return rows;
}

std::string CodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? "" : detail->code();
}

LookupSpec Devices() {
  return LookupOf({{"device", Type::kText}, {"model", Type::kText}}, {"device"});
}

TEST(LookupTable, FindsRowsByTheirKey) {
  const LookupSpec spec = Devices();
  const LookupLayout layout = WholeLayout(spec);
  const auto table = TableOf(spec, layout,
                             {R"({"device":"a","model":"x"})", R"({"device":"","model":"y"})",
                              R"({"device":null,"model":"z"})", R"({"device":"b"})"})
                         .ValueOrDie();
  EXPECT_EQ(table->rows(), 3);
  EXPECT_EQ(table->rows_without_key(), 1);
  const auto rows =
      Find(*table, KeysOf(spec, layout,
                          {R"({"device":"b"})", R"({"device":"c"})", R"({"device":null})",
                           R"({"device":""})", R"({"device":"a"})"}));
  EXPECT_THAT(rows, ElementsAre(2, kNone, kNone, 1, 0));
}

TEST(LookupTable, NothingIsFoundInAnEmptyOne) {
  const LookupSpec spec = Devices();
  const LookupLayout layout = WholeLayout(spec);
  const auto table = TableOf(spec, layout, {}).ValueOrDie();
  EXPECT_EQ(table->rows(), 0);
  EXPECT_THAT(Find(*table, KeysOf(spec, layout, {R"({"device":"b"})"})), ElementsAre(kNone));
}

TEST(LookupTable, KeepsTheKeyAndWhatIsUsedOnly) {
  LookupSpec spec = LookupOf({{"a", Type::kText},
                              {"id", Type::kBigint},
                              {"b", Type::kText},
                              {"since", Type::kTimestamp},
                              {"c", Type::kText}},
                             {"id"});
  spec.valid_from = PlacedText{"since", {}};
  const LookupLayout layout = MakeLookupLayout(spec, {4});
  EXPECT_THAT(layout.schema.Names(), ElementsAre("id", "since", "c"));
  EXPECT_THAT(layout.columns, ElementsAre(1, 3, 4));
  EXPECT_THAT(layout.key, ElementsAre(0));
  EXPECT_EQ(layout.valid_from, 1);
  EXPECT_EQ(layout.valid_to, -1);
  EXPECT_EQ(layout.FieldOf(4), 2);
  EXPECT_EQ(layout.FieldOf(0), -1);
}

TEST(LookupTable, ComparesKeysAsWindowsDo) {
  const LookupSpec spec = LookupOf({{"x", Type::kDouble}, {"n", Type::kInteger}}, {"x", "n"});
  const LookupLayout layout = WholeLayout(spec);
  arrow::DoubleBuilder xs;
  arrow::Int32Builder ns;
  ASSERT_TRUE(xs.AppendValues({std::nan("1"), -0.0, 1.5}).ok());
  ASSERT_TRUE(ns.AppendValues({1, 2, 3}).ok());
  LookupTableBuilder builder(layout, {}, LookupTableBuilder::Kind::kTable);
  ASSERT_TRUE(
      builder
          .Add(arrow::RecordBatch::Make(layout.schema.ToArrow(), 3, {*xs.Finish(), *ns.Finish()}),
               PlacesOf("t", 3))
          .ok());
  const auto table = builder.Finish().ValueOrDie();
  ASSERT_TRUE(xs.AppendValues({-std::nan("7"), 0.0, 1.5, 1.5}).ok());
  ASSERT_TRUE(ns.AppendValues({1, 2, 3, 4}).ok());
  const auto keys = LookupKeys::Make(arrow::RecordBatch::Make(layout.schema.ToArrow(), 4,
                                                              {*xs.Finish(), *ns.Finish()}),
                                     nullptr)
                        .ValueOrDie();
  EXPECT_THAT(Find(*table, keys), ElementsAre(0, 1, 2, kNone));
}

TEST(LookupTable, ASliceAndAnUntypedNullAreKeysToo) {
  const LookupSpec spec = Devices();
  const LookupLayout layout = WholeLayout(spec);
  const auto table = TableOf(spec, layout, {R"({"device":"a"})", R"({"device":"b"})"}).ValueOrDie();
  const auto batch =
      BatchOf(spec, layout, {R"({"device":"c"})", R"({"device":"b"})", R"({"device":"a"})"})
          ->SelectColumns({0})
          .ValueOrDie()
          ->Slice(1);
  EXPECT_THAT(Find(*table, LookupKeys::Make(batch, nullptr).ValueOrDie()), ElementsAre(1, 0));
  const auto nulls = arrow::RecordBatch::Make(arrow::schema({arrow::field("k", arrow::null())}), 2,
                                              {std::make_shared<arrow::NullArray>(2)});
  EXPECT_THAT(Find(*table, LookupKeys::Make(nulls, nullptr).ValueOrDie()),
              ElementsAre(kNone, kNone));
}

TEST(LookupTable, RefusesAKeyThatIsThereTwice) {
  const LookupSpec spec =
      LookupOf({{"device", Type::kText}, {"channel", Type::kInteger}}, {"device", "channel"});
  const LookupLayout layout = WholeLayout(spec);
  LookupTableBuilder builder(layout, {}, LookupTableBuilder::Kind::kTable);
  ASSERT_TRUE(builder
                  .Add(BatchOf(spec, layout,
                               {R"({"device":"a","channel":1})", R"({"device":"a","channel":2})"}),
                       PlacesOf("one.json", 2))
                  .ok());
  ASSERT_TRUE(builder
                  .Add(BatchOf(spec, layout,
                               {R"({"device":"b","channel":1})", R"({"device":"a","channel":2})"}),
                       {"two.json", {7, 9}})
                  .ok());
  const Status status = builder.Finish().status();
  EXPECT_EQ(CodeOf(status), "duplicate_key");
  EXPECT_EQ(status.message(),
            "device = 'a', channel = 2 is there twice: one.json, row 1 and two.json, row 9");
}

TEST(LookupTable, CutsLongKeysInMessages) {
  const LookupSpec spec = Devices();
  const LookupLayout layout = WholeLayout(spec);
  // 59 bytes, then a character of two that would end at the 61st.
  const std::string line = "{\"device\":\"" + std::string(59, 'x') + "\xc3\xa4yz\"}";
  const Status status = TableOf(spec, layout, {line, line}).status();
  EXPECT_THAT(status.message(), HasSubstr("device = '" + std::string(59, 'x') + "...' is there"));
}

TEST(LookupTable, SaysWhichLimitIsPassed) {
  const LookupSpec spec = Devices();
  const LookupLayout layout = WholeLayout(spec);
  const Lines lines = {R"({"device":"a"})", R"({"device":"b"})", R"({"device":"c"})"};
  EXPECT_TRUE(TableOf(spec, layout, lines, {3, 1 << 20}).ok());
  Status status = TableOf(spec, layout, lines, {2, 1 << 20}).status();
  EXPECT_EQ(CodeOf(status), "lookup_too_large");
  EXPECT_EQ(status.message(), "more than 2 rows: the table is kept in memory");
  const std::string text(1 << 20, 'x');
  status =
      TableOf(spec, layout, {"{\"device\":\"" + text + "\"}", R"({"device":"b"})"}, {3, 1 << 20})
          .status();
  EXPECT_EQ(CodeOf(status), "lookup_too_large");
  EXPECT_EQ(status.message(),
            "more than 1 MiB in the columns that are used: the table is kept in memory");
}

LookupSpec Placed() {
  LookupSpec spec = LookupOf({{"device", Type::kText},
                              {"room", Type::kText},
                              {"since", Type::kTimestamp},
                              {"until", Type::kTimestamp}},
                             {"device"});
  spec.valid_from = PlacedText{"since", {}};
  spec.valid_to = PlacedText{"until", {}};
  return spec;
}

// A device in a room from hour to hour of 1970-01-01; negative: null.
std::string Stay(const std::string& device, const std::string& room, int since, int until) {
  const auto hour = [](int at) {
    if (at < 0) return std::string("null");
    return "\"1970-01-01T" + std::string(at < 10 ? "0" : "") + std::to_string(at) + ":00:00Z\"";
  };
  return R"({"device":")" + device + R"(","room":")" + room + R"(","since":)" + hour(since) +
         R"(,"until":)" + hour(until) + "}";
}
constexpr int64_t kHour = 3'600'000'000;

// Rooms of one device at these times; "-" for none.
std::string RoomsAt(const LookupTable& table, const LookupSpec& spec, const LookupLayout& layout,
                    const std::vector<std::optional<int64_t>>& times) {
  const Lines lines(times.size(), R"({"device":"a"})");
  std::string rooms;
  for (const int32_t row : Find(table, KeysOf(spec, layout, lines, TimesOf(times)))) {
    const auto& column = static_cast<const arrow::StringArray&>(*table.batch().column(1));
    rooms += row == kNone ? "-" : std::string(column.GetView(row));
  }
  return rooms;
}

TEST(LookupTable, FindsTheRowThatIsValidAtATime) {
  const LookupSpec spec = Placed();
  const LookupLayout layout = WholeLayout(spec);
  const auto table = TableOf(spec, layout,
                             {Stay("a", "3", 5, -1), Stay("b", "x", -1, -1), Stay("a", "1", -1, 2),
                              Stay("a", "2", 2, 4), Stay("a", "e", 3, 3), Stay("c", "y", 1, 2)})
                         .ValueOrDie();
  EXPECT_EQ(RoomsAt(*table, spec, layout,
                    {INT64_MIN, 0, 2 * kHour - 1, 2 * kHour, 3 * kHour, 4 * kHour - 1, 4 * kHour,
                     5 * kHour - 1, 5 * kHour, INT64_MAX, std::nullopt}),
            "111222--33-")
      << "hours 4 to 5 have none; nor has no time";
}

TEST(LookupTable, WithoutAnEndARowIsValidUntilTheNext) {
  LookupSpec spec = Placed();
  spec.valid_to.reset();
  const LookupLayout layout = WholeLayout(spec);
  const auto table =
      TableOf(spec, layout, {Stay("a", "2", 4, -1), Stay("b", "x", 0, -1), Stay("a", "1", 2, -1)})
          .ValueOrDie();
  EXPECT_EQ(RoomsAt(*table, spec, layout, {0, 2 * kHour, 4 * kHour - 1, 4 * kHour, 9 * kHour}),
            "-1122");
  const Status status =
      TableOf(spec, layout, {Stay("a", "2", 4, -1), Stay("a", "1", 4, -1)}).status();
  EXPECT_EQ(CodeOf(status), "overlapping_validity");
}

TEST(LookupTable, RefusesTimesThatOverlap) {
  const LookupSpec spec = Placed();
  const LookupLayout layout = WholeLayout(spec);
  Status status =
      TableOf(spec, layout, {Stay("b", "9", 1, 5), Stay("a", "1", 1, 4), Stay("a", "2", 3, -1)})
          .status();
  EXPECT_EQ(CodeOf(status), "overlapping_validity");
  EXPECT_EQ(status.message(),
            "device = 'a' has two rows at 1970-01-01T03:00:00.000000Z: devices.json, row 1 (valid "
            "from 1970-01-01T01:00:00.000000Z to 1970-01-01T04:00:00.000000Z) and devices.json, "
            "row 2 (from 1970-01-01T03:00:00.000000Z to null)");
  status = TableOf(spec, layout, {Stay("a", "1", 4, 3)}).status();
  EXPECT_EQ(CodeOf(status), "bad_validity");
  EXPECT_EQ(status.message(),
            "device = 'a' is valid from 1970-01-01T04:00:00.000000Z to "
            "1970-01-01T03:00:00.000000Z, which is before: devices.json, row 0");
  EXPECT_TRUE(TableOf(spec, layout, {Stay("a", "1", 1, 3), Stay("a", "2", 3, 4)}).ok());
}

// Against std::map, with keys of every type and texts that share their beginnings.
TEST(LookupTable, FindsWhatAMapFinds) {
  std::mt19937 random(7);
  for (int round = 0; round < 30; ++round) {
    const LookupSpec spec =
        LookupOf({{"t", Type::kText}, {"n", Type::kBigint}, {"v", Type::kBigint}}, {"n", "t"});
    const LookupLayout layout = WholeLayout(spec);
    const int range = round < 10 ? 4 : 400;
    std::map<std::pair<int, std::string>, int> expected;
    Lines lines;
    for (int i = 0; i < 3 * range; ++i) {
      const int n = int(random() % unsigned(range));
      const std::string t(random() % 5, 'a');
      if (!expected.emplace(std::pair(n, t), int(lines.size())).second) continue;
      lines.push_back("{\"t\":\"" + t + "\",\"n\":" + std::to_string(n) + "}");
    }
    const auto table = TableOf(spec, layout, lines).ValueOrDie();
    Lines asked;
    std::vector<int32_t> wanted;
    for (int i = 0; i < 1000; ++i) {
      const int n = int(random() % unsigned(range + 2));
      const std::string t(random() % 6, 'a');
      asked.push_back("{\"t\":\"" + t + "\",\"n\":" + std::to_string(n) + "}");
      const auto found = expected.find({n, t});
      wanted.push_back(found == expected.end() ? kNone : found->second);
    }
    EXPECT_EQ(Find(*table, KeysOf(spec, layout, asked)), wanted) << round;
  }
}

// Against looking at every row.
TEST(LookupTable, FindsTheValidRowAmongMany) {
  std::mt19937 random(11);
  for (int round = 0; round < 50; ++round) {
    const LookupSpec spec = Placed();
    const LookupLayout layout = WholeLayout(spec);
    struct Row {
      std::string device, room;
      int64_t since, until;
    };
    std::vector<Row> rows;
    for (const char* device : {"a", "b", "c"}) {
      int at = int(random() % 5);
      for (int i = 0; i < 6 && at < 22; ++i) {
        const int until = std::min(23, at + int(random() % 4));
        rows.push_back({device, std::to_string(rows.size() % 10), at, until});
        at = until + int(random() % 2);
      }
    }
    std::ranges::shuffle(rows, random);
    Lines lines;
    lines.reserve(rows.size());
    for (const Row& row : rows) {
      lines.push_back(Stay(row.device, row.room, int(row.since), int(row.until)));
    }
    const auto table = TableOf(spec, layout, lines).ValueOrDie();
    std::vector<std::optional<int64_t>> times;
    std::string wanted;
    for (int64_t time = 0; time < 24 * kHour; time += kHour / 2) {
      times.push_back(time);
      const auto holds = [&](const Row& row) {
        return row.device == "a" && row.since * kHour <= time && time < row.until * kHour;
      };
      const auto found = std::ranges::find_if(rows, holds);
      wanted += found == rows.end() ? "-" : found->room;
    }
    EXPECT_EQ(RoomsAt(*table, spec, layout, times), wanted) << round;
  }
}

TEST(LookupTable, LaterChangesReplaceEarlierOnes) {
  const LookupSpec spec = Devices();
  const LookupLayout layout = WholeLayout(spec);
  const Lines lines = {R"({"device":"a","model":"1"})", R"({"device":"b","model":"2"})",
                       R"({"device":"a","model":"3"})", R"({"device":"c","model":"4"})",
                       R"({"device":"b"})"};
  const std::vector<uint8_t> deleted = {0, 0, 0, 0, 1};
  const auto keys =
      KeysOf(spec, layout, {R"({"device":"a"})", R"({"device":"b"})", R"({"device":"c"})"});
  for (const auto kind : {LookupTableBuilder::Kind::kChanges, LookupTableBuilder::Kind::kLatest}) {
    LookupTableBuilder builder(layout, {}, kind);
    ASSERT_TRUE(builder.Add(BatchOf(spec, layout, lines), {}, deleted).ok());
    const auto table = builder.Finish().ValueOrDie();
    const auto rows = Find(*table, keys);
    const auto& models = static_cast<const arrow::StringArray&>(*table->batch().column(1));
    EXPECT_EQ(models.GetView(rows[0]), "3");
    EXPECT_EQ(models.GetView(rows[2]), "4");
    if (kind == LookupTableBuilder::Kind::kChanges) {
      EXPECT_EQ(table->rows(), 3);
      EXPECT_TRUE(table->IsDeleted(rows[1]));
      EXPECT_FALSE(table->IsDeleted(rows[0]));
    } else {
      EXPECT_EQ(table->rows(), 2);
      EXPECT_EQ(rows[1], kNone);
    }
  }
}

}  // namespace
}  // namespace millrace
