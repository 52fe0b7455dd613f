// How many rows a message becomes, and what is refused of it.
#include "engine/connectors/message/message_decoder.h"

#include <arrow/array.h>
#include <gmock/gmock.h>

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Columns id (text), n (integer), at (timestamp in milliseconds, the event time).
SourceStreamSpec Spec(Format format) {
  SourceStreamSpec spec;
  spec.format = format;
  const auto add = [&](std::string name, Type type) {
    SourceColumn column;
    column.field.name = name;
    column.field.type = type;
    column.from = std::move(name);
    column.timestamp_unit = TimestampUnit::kMillis;
    spec.columns.push_back(std::move(column));
  };
  add("id", Type::kText);
  add("n", Type::kInteger);
  add("at", Type::kTimestamp);
  spec.csv.fields = {"id", "n", "at"};
  spec.event_time.emplace();
  spec.event_time->column = "at";
  return spec;
}

class MessageDecoderTest : public testing::Test {
 protected:
  explicit MessageDecoderTest(Format format = Format::kJson) : decoder_(Spec(format), {0, 1, 2}) {}

  // Its rows' indexes.
  std::vector<int32_t> Append(std::string_view message) {
    decoder_.Append(message, &decoded_);
    std::vector<int32_t> indexes;
    for (const auto& row : decoded_.rows) indexes.push_back(row.index);
    return indexes;
  }
  // "index reason: message" of what was refused.
  std::vector<std::string> Refused() const {
    std::vector<std::string> refused;
    refused.reserve(decoded_.refused.size());
    for (const auto& one : decoded_.refused) {
      refused.push_back(std::to_string(one.reading.index) + " " + one.failure.reason + ": " +
                        one.failure.message);
    }
    return refused;
  }
  // "id n" of each row since the last call.
  std::vector<std::string> Rows() {
    const auto batch = decoder_.Finish().ValueOrDie();
    EXPECT_TRUE(batch->ValidateFull().ok());
    std::vector<std::string> rows;
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      const auto& id = static_cast<const arrow::StringArray&>(*batch->column(0));
      const auto& n = static_cast<const arrow::Int32Array&>(*batch->column(1));
      rows.push_back((id.IsNull(row) ? "-" : id.GetString(row)) + " " +
                     (n.IsNull(row) ? "-" : std::to_string(n.Value(row))));
    }
    return rows;
  }

  MessageDecoder decoder_;
  DecodedMessage decoded_;
};

class CsvMessageTest : public MessageDecoderTest {
 protected:
  CsvMessageTest() : MessageDecoderTest(Format::kCsv) {}
};

TEST_F(MessageDecoderTest, AnObjectIsOneReadingAndAnArrayOneAnItem) {
  EXPECT_THAT(Append(R"({"id":"a","n":1,"at":0})"), ElementsAre(-1));
  EXPECT_THAT(Append(R"( [ {"id":"b","n":2,"at":0} , {"at":0,"id":"[}{]"}] )"), ElementsAre(0, 1));
  EXPECT_EQ(decoded_.rows[0].value, R"({"id":"b","n":2,"at":0})");
  EXPECT_EQ(decoded_.rows[1].value, R"({"at":0,"id":"[}{]"})");
  EXPECT_THAT(Append(R"([{"id":"c","at":0}])"), ElementsAre(0));
  EXPECT_THAT(Refused(), IsEmpty());
  EXPECT_THAT(Rows(), ElementsAre("a 1", "b 2", "[}{] -", "c -"));
}

TEST_F(MessageDecoderTest, ABadReadingOfAnArrayIsRefusedAloneAndTheOthersCount) {
  EXPECT_THAT(Append(R"([{"id":"a","at":0},{"id":"b","n":"x","at":0},5,{"id":"c"},null,[{}],)"
                     R"({"id":"d","n":9999999999,"at":0},{"id":"e","at":0}])"),
              ElementsAre(0, 7));
  EXPECT_THAT(Refused(),
              ElementsAre("1 type_mismatch: column 'n': expected integer, found text \"x\"",
                          "2 malformed: not an object",
                          "3 missing_event_time: column 'at': key 'at' is missing",
                          "4 malformed: not an object", "5 malformed: not an object",
                          "6 number_out_of_range: column 'n': number 9999999999 is out of range "
                          "for integer"));
  EXPECT_EQ(decoded_.refused[0].reading.value, R"({"id":"b","n":"x","at":0})");
  EXPECT_EQ(decoded_.refused[1].reading.value, "5");
  EXPECT_THAT(Rows(), ElementsAre("a -", "e -"));
}

TEST_F(MessageDecoderTest, AnArrayThatIsNoJsonIsRefusedAsAWhole) {
  const std::string good = R"({"id":"a","n":1,"at":0})";
  EXPECT_THAT(Append(good), ElementsAre(-1));
  for (const std::string& bad : std::vector<std::string>{
           "[" + good, "[" + good + ",]", "[" + good + "]]", "[" + good + " " + good + "]",
           "[" + good + ",{\"id\":}]", "[" + good + ",tru]", "[,]", "[" + good + "],[]", "[}",
           "[" + good + ",[{]}]", "[\"\xff\"]"}) {
    EXPECT_THAT(Append(bad), IsEmpty()) << bad;
    ASSERT_EQ(decoded_.refused.size(), 1u) << bad;
    EXPECT_EQ(decoded_.refused[0].reading.index, -1) << bad;
    EXPECT_EQ(decoded_.refused[0].reading.value, bad);
    EXPECT_EQ(decoded_.refused[0].failure.reason, "malformed") << bad;
  }
  EXPECT_THAT(Append(R"([{"id":"b","at":0}])"), ElementsAre(0));
  EXPECT_THAT(Rows(), ElementsAre("a 1", "b -"));
}

TEST_F(MessageDecoderTest, AnEmptyArrayHoldsNoReading) {
  EXPECT_THAT(Append("[]"), IsEmpty());
  EXPECT_THAT(Append(" [ ] "), IsEmpty());
  EXPECT_THAT(Refused(), IsEmpty());
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(MessageDecoderTest, ReadingsAreBounded) {
  std::string message = "[";
  for (int64_t i = 0; i < kReadingsPerMessageMax; ++i) message += "{\"at\":0},";
  message.back() = ']';
  EXPECT_EQ(Append(message).size(), size_t(kReadingsPerMessageMax));
  message.back() = ',';
  EXPECT_THAT(Append(message + "{}]"), IsEmpty());
  EXPECT_THAT(Refused(),
              ElementsAre("-1 too_many_readings: more than 100000 readings in one message"));
  EXPECT_EQ(decoder_.rows(), kReadingsPerMessageMax);
  const std::string deep = std::string(70, '[') + std::string(70, ']');
  EXPECT_THAT(Append("[{\"id\":" + deep + ",\"at\":0},{\"at\":0}]"), ElementsAre(1));
  EXPECT_THAT(Refused(), ElementsAre("0 too_deep: nested more than 64 deep"));
}

// Rows of arrays are read by learned layouts like any others.
TEST_F(MessageDecoderTest, RowsThatAreTakenBackLeaveNoTrace) {
  EXPECT_THAT(Append(R"([{"id":null,"n":null,"at":0},{"id":"long","n":2,"at":0},{])"), IsEmpty());
  EXPECT_THAT(Append(R"([{"id":"a","n":3,"at":0},{"id":"b","n":4,"at":0}])"), ElementsAre(0, 1));
  EXPECT_THAT(Rows(), ElementsAre("a 3", "b 4"));
}

TEST_F(CsvMessageTest, LinesAreReadings) {
  EXPECT_THAT(Append("a,1,1000"), ElementsAre(0));
  EXPECT_THAT(Append("\"b, c\",,1000\r\n\r\n\"\",2.0,1e3\n"), ElementsAre(0, 1));
  EXPECT_EQ(decoded_.rows[0].value, "\"b, c\",,1000");
  EXPECT_THAT(Refused(), IsEmpty());
  EXPECT_THAT(Rows(), ElementsAre("a 1", "b, c -", "- 2"));
}

TEST_F(CsvMessageTest, ABadLineIsRefusedAlone) {
  EXPECT_THAT(Append("a,1\nb,x,1000\nc,1,\nd,1,soon\n\xff,1,0\ne,1,0\n\"f"), ElementsAre(5));
  EXPECT_THAT(Refused(),
              ElementsAre("0 malformed: expected 3 cells, found 2",
                          "1 type_mismatch: column n: expected integer, found 'x'",
                          "2 missing_event_time: column at is null",
                          "3 missing_event_time: column at: expected timestamp, found 'soon'",
                          "4 type_mismatch: column id: not valid UTF-8",
                          "6 malformed: a quote is not closed"));
  EXPECT_THAT(Append(""), IsEmpty());
  EXPECT_THAT(Refused(), IsEmpty());
  EXPECT_THAT(Rows(), ElementsAre("e 1"));
}

TEST(CsvMessage, DatesAndRealsAreRead) {
  SourceStreamSpec spec = Spec(Format::kCsv);
  spec.columns[0].field.type = Type::kDate;
  spec.columns[1].field.type = Type::kReal;
  MessageDecoder decoder(spec, {0, 1, 2});
  DecodedMessage decoded;
  decoder.Append("1970-01-02,0.1,0\n2023-02-29,1,0\n2024-02-29 10:00,1,0\n,x,0\n,-2.5,0", &decoded);
  std::vector<std::string> refused;
  refused.reserve(decoded.refused.size());
  for (const auto& one : decoded.refused) refused.push_back(one.failure.message);
  EXPECT_THAT(refused, ElementsAre("column id: expected date, found '2023-02-29'",
                                   "column id: expected date, found '2024-02-29 10:00'",
                                   "column n: expected real, found 'x'"));
  const auto batch = decoder.Finish().ValueOrDie();
  ASSERT_EQ(batch->num_rows(), 2);
  const auto& days = static_cast<const arrow::Date32Array&>(*batch->column(0));
  const auto& reals = static_cast<const arrow::FloatArray&>(*batch->column(1));
  EXPECT_EQ(days.Value(0), 1);
  EXPECT_TRUE(days.IsNull(1));
  EXPECT_EQ(reals.Value(0), 0.1F);
  EXPECT_EQ(reals.Value(1), -2.5F);
}

}  // namespace
}  // namespace millrace
