#include "engine/model/types.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "engine/model/job.h"
#include "engine/model/timestamp.h"

namespace millrace {
namespace {

TEST(Types, NamesInAnyCaseAndWithSynonyms) {
  EXPECT_EQ(TypeFromName("Double  Precision"), Type::kDouble);
  EXPECT_EQ(TypeFromName("double"), Type::kDouble);
  EXPECT_EQ(TypeFromName("NUMERIC"), Type::kDouble);
  EXPECT_EQ(TypeFromName("int8"), Type::kBigint);
  EXPECT_EQ(TypeFromName("int"), Type::kInteger);
  EXPECT_EQ(TypeFromName(" bool "), Type::kBoolean);
  EXPECT_EQ(TypeFromName("character varying"), Type::kText);
  EXPECT_EQ(TypeFromName("timestamp with time zone"), Type::kTimestamp);
  EXPECT_EQ(TypeFromName("interval"), Type::kInterval);
  EXPECT_EQ(TypeFromName("float4"), Type::kReal);
  EXPECT_EQ(TypeFromName("Date"), Type::kDate);
  for (const char* unknown : {"", "smallint", "time", "doubleprecision", "null", "char"}) {
    EXPECT_EQ(TypeFromName(unknown), std::nullopt) << unknown;
  }
}

TEST(Types, EveryColumnTypeHasANameThatReadsBack) {
  for (const Type type :
       {Type::kBoolean, Type::kInteger, Type::kBigint, Type::kDouble, Type::kText, Type::kTimestamp,
        Type::kInterval, Type::kReal, Type::kDate, Type::kJson}) {
    EXPECT_EQ(TypeFromName(TypeName(type)), type) << TypeName(type);
  }
  EXPECT_EQ(ColumnTypeNames().size(), 9u);
  for (const std::string& name : ColumnTypeNames()) EXPECT_TRUE(TypeFromName(name)) << name;
}

TEST(Types, SchemaBecomesArrowWithUnits) {
  const Schema schema{{{"device_id", Type::kText, "", false},
                       {"temperature", Type::kDouble, "Cel", false},
                       {"seen", Type::kTimestamp, "", false}}};
  EXPECT_EQ(schema.IndexOf("temperature"), 1);
  EXPECT_EQ(schema.IndexOf("Temperature"), -1);
  EXPECT_EQ(schema.Names(), (std::vector<std::string>{"device_id", "temperature", "seen"}));
  const auto arrow_schema = schema.ToArrow();
  EXPECT_EQ(arrow_schema->field(1)->ToString(), "temperature: double");
  EXPECT_EQ(arrow_schema->field(1)->metadata()->Get("unit").ValueOrDie(), "Cel");
  EXPECT_EQ(arrow_schema->field(0)->metadata(), nullptr);
  EXPECT_EQ(arrow_schema->field(2)->type()->ToString(), "timestamp[us, tz=UTC]");
  EXPECT_TRUE(arrow_schema->field(2)->nullable());
}

TEST(Dates, AreReadAndWritten) {
  int32_t days = 0;
  ASSERT_TRUE(ParseDate("2024-02-29", &days));
  EXPECT_EQ(days, 19'782);
  EXPECT_EQ(FormatDate(days), "2024-02-29");
  ASSERT_TRUE(ParseDateOf("2024-02-29 23:30:00-05", &days));
  EXPECT_EQ(days, 19'782);
  for (const char* bad : {"", "2023-02-29", "2024-2-29", "2024-02-29 ", "2024-02-29T00:00:00Z"}) {
    EXPECT_FALSE(ParseDate(bad, &days)) << bad;
  }
  EXPECT_FALSE(ParseDateOf("2024-02-29x", &days));
  EXPECT_EQ(FormatDate(-1), "1969-12-31");
  EXPECT_EQ(FormatDate(-719'163), "0001-12-31 BC");
  EXPECT_EQ(FormatDate(2'932'897), "10000-01-01");
}

TEST(PlacedText, PlacesCountLinesAndCharacters) {
  const PlacedText sql{"SELECT \u00e9, x\n  FROM t\n", {12, 9}};
  EXPECT_EQ(sql.PlaceAt(0), (SourcePlace{12, 9}));
  EXPECT_EQ(sql.PlaceAt(7), (SourcePlace{12, 16}));
  EXPECT_EQ(sql.PlaceAt(8), (SourcePlace{12, 16}));   // inside the two bytes of é
  EXPECT_EQ(sql.PlaceAt(11), (SourcePlace{12, 19}));  // x
  EXPECT_EQ(sql.PlaceAt(15), (SourcePlace{13, 11}));  // FROM
  EXPECT_EQ(sql.PlaceAt(1000), (SourcePlace{14, 9}));
}

}  // namespace
}  // namespace millrace
