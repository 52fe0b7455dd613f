// Rows through encoder and decoder: what arrives is what was selected, to the bit; and bytes that
// are damaged never make a batch that is not safe to work with.
#include <gtest/gtest.h>

#include <numeric>

#include "engine/wire/wire_testing.h"

namespace millrace {
namespace {

using testing::Cell;
using testing::FrameMaker;
using testing::MakeFrame;
using testing::Must;

constexpr MonotonicTime kNow = std::chrono::seconds(1);
const MessageEnvelope kEnvelope = {"meters", 7, Address(12), Address(3)};

std::string CodeOf(const Status& status) {
  const ErrorDetail* const detail = ErrorDetail::Of(status);
  return detail == nullptr ? status.ToString() : detail->code();
}

Result<std::shared_ptr<arrow::Buffer>> Encode(MessageEncoder* encoder, DataFrame data) {
  return encoder->Encode(kEnvelope, ChannelFrame{5, MakeFrame(std::move(data), 6789)}, kNow);
}

Result<DataFrame> Decode(MessageDecoder* decoder, const std::shared_ptr<arrow::Buffer>& bytes) {
  ARROW_ASSIGN_OR_RAISE(const OpenedMessage opened, decoder->Open(bytes));
  ARROW_ASSIGN_OR_RAISE(const WireMessage message, decoder->Decode(opened, kNow));
  const auto* const frame = std::get_if<ChannelFrame>(&message);
  if (frame == nullptr) return Status::Invalid("no frame");
  const auto* const data = std::get_if<DataFrame>(&frame->frame->body);
  if (data == nullptr) return Status::Invalid("no rows");
  return *data;
}

// The rows that are meant, one after the other.
std::vector<uint32_t> Meant(const DataFrame& data) {
  if (data.sink < 0) return data.selection;
  std::vector<uint32_t> all(size_t(data.rows.size()));
  std::iota(all.begin(), all.end(), 0u);
  return all;
}

template <typename Number>
void ExpectPicked(const std::shared_ptr<const std::vector<Number>>& from,
                  const std::vector<uint32_t>& meant,
                  const std::shared_ptr<const std::vector<Number>>& got) {
  ASSERT_EQ(from == nullptr, got == nullptr);
  if (from == nullptr) return;
  ASSERT_EQ(got->size(), meant.size());
  for (size_t i = 0; i < meant.size(); ++i) EXPECT_EQ((*from)[meant[i]], (*got)[i]);
}

void ExpectOrigins(const Rows& from, const std::vector<uint32_t>& meant, const Rows& got) {
  ASSERT_EQ(from.origins == nullptr, got.origins == nullptr);
  if (from.origins == nullptr) return;
  const auto& [source, offsets, indexes] = *from.origins;
  EXPECT_EQ(source, got.origins->source);
  ASSERT_EQ(got.origins->offsets.size(), meant.size());
  EXPECT_EQ(got.origins->indexes.size(), indexes.empty() ? 0 : meant.size());
  for (size_t i = 0; i < meant.size(); ++i) {
    EXPECT_EQ(got.origins->offsets[i], offsets[meant[i]]);
    EXPECT_EQ(got.origins->IndexOf(int64_t(i)), from.origins->IndexOf(meant[i]));
  }
}

// Numbers of records are given anew; rows are of the same record where they were.
void ExpectOriginals(const Rows& from, const std::vector<uint32_t>& meant, const Rows& got) {
  ASSERT_EQ(from.originals == nullptr, got.originals == nullptr);
  ASSERT_EQ(from.original_rows == nullptr, got.original_rows == nullptr);
  if (from.originals == nullptr) return;
  std::map<int64_t, int64_t> numbers;
  for (size_t i = 0; i < meant.size(); ++i) {
    const int64_t there = got.original_rows ? (*got.original_rows)[i] : int64_t(i);
    const int64_t here = from.original_rows ? (*from.original_rows)[meant[i]] : meant[i];
    EXPECT_EQ(numbers.try_emplace(here, there).first->second, there);
    EXPECT_EQ(got.originals->ValueOfRow(there), from.originals->ValueOfRow(here));
    EXPECT_EQ(got.originals->KeyOfRow(there), from.originals->KeyOfRow(here));
  }
}

void ExpectSame(const DataFrame& from, const DataFrame& got) {
  const auto& [node, rows, hashes, selection, sink, fetched] = from;
  const auto& [batch, origins, kind, are_panes, items, originals, original_rows] = rows;
  const std::vector<uint32_t> meant = Meant(from);
  EXPECT_EQ(node, got.node);
  EXPECT_EQ(sink, got.sink);
  EXPECT_EQ(fetched, got.fetched);
  EXPECT_EQ(kind, got.rows.kind);
  EXPECT_EQ(are_panes, got.rows.are_panes);
  ASSERT_EQ(got.rows.size(), int64_t(meant.size()));
  ASSERT_TRUE(got.rows.batch->ValidateFull().ok()) << got.rows.batch->ValidateFull();
  ASSERT_TRUE(batch->schema()->Equals(*got.rows.batch->schema(), /*check_metadata=*/true));
  for (int c = 0; c < batch->num_columns(); ++c) {
    const arrow::Array& column = *batch->column(c);
    for (size_t i = 0; i < meant.size(); ++i) {
      EXPECT_EQ(Cell(column, meant[i]), Cell(*got.rows.batch->column(c), int64_t(i)));
    }
  }
  ExpectPicked(hashes, meant, got.hashes);
  ExpectPicked(items, meant, got.rows.items);
  ExpectOrigins(rows, meant, got.rows);
  ExpectOriginals(rows, meant, got.rows);
  std::vector<uint32_t> in_order;
  if (sink < 0) in_order.resize(meant.size());
  std::iota(in_order.begin(), in_order.end(), 0u);
  EXPECT_EQ(got.selection, in_order);
}

std::shared_ptr<arrow::RecordBatch> Texts(int64_t rows) {
  arrow::StringBuilder texts;
  arrow::Int64Builder numbers;
  for (int64_t i = 0; i < rows; ++i) {
    Must(texts.Append("device-" + std::to_string(i)));
    Must(numbers.Append(i));
  }
  return arrow::RecordBatch::Make(
      arrow::schema({arrow::field("text", arrow::utf8()), arrow::field("number", arrow::int64())}),
      rows, {texts.Finish().ValueOrDie(), numbers.Finish().ValueOrDie()});
}

DataFrame ToSink(std::shared_ptr<arrow::RecordBatch> batch) {
  DataFrame data;
  data.sink = 1;
  data.rows.batch = std::move(batch);
  return data;
}

DataFrame ToTask(const std::shared_ptr<arrow::RecordBatch>& batch,
                 std::vector<uint32_t> selection) {
  DataFrame data;
  data.rows.batch = batch;
  data.hashes = std::make_shared<std::vector<uint64_t>>(size_t(batch->num_rows()), 17);
  data.selection = std::move(selection);
  return data;
}

TEST(RowsCodec, WhatIsSelectedArrivesToTheBit) {
  for (const int32_t protocol : {kProtocolMin, kProtocolMax}) {
    MessageEncoder encoder(protocol);
    MessageDecoder decoder(protocol);
    for (uint64_t seed = 1; seed <= 600; ++seed) {
      SCOPED_TRACE("protocol " + std::to_string(protocol) + ", seed " + std::to_string(seed));
      const DataFrame data = FrameMaker(seed).Data();
      const auto bytes = Encode(&encoder, data);
      ASSERT_TRUE(bytes.ok()) << bytes.status();
      const auto got = Decode(&decoder, *bytes);
      ASSERT_TRUE(got.ok()) << got.status();
      ExpectSame(data, *got);
      if (HasFailure()) return;
    }
  }
}

TEST(RowsCodec, InputAndCreditStayTheSenders) {
  MessageEncoder encoder(2);
  MessageDecoder decoder(2);
  const auto bytes = Encode(&encoder, ToTask(Texts(3), {1})).ValueOrDie();
  const auto message = decoder.Decode(decoder.Open(bytes).ValueOrDie(), kNow).ValueOrDie();
  EXPECT_EQ(std::get<ChannelFrame>(message).input, 5);
  EXPECT_EQ(std::get<ChannelFrame>(message).frame->bytes, 6789);
}

TEST(RowsCodec, DeadLettersArriveToTheBit) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const std::vector<DeadLetter> letters = FrameMaker(seed).Letters();
    MessageEncoder encoder(2);
    MessageDecoder decoder(2);
    const auto bytes =
        encoder.Encode(kEnvelope, ChannelFrame{1, MakeFrame(DeadLetterFrame{letters}, 77)}, kNow)
            .ValueOrDie();
    const auto message = decoder.Decode(decoder.Open(bytes).ValueOrDie(), kNow).ValueOrDie();
    const Frame& frame = *std::get<ChannelFrame>(message).frame;
    EXPECT_EQ(frame.bytes, 77);
    const auto& [got] = std::get<DeadLetterFrame>(frame.body);
    ASSERT_EQ(got.size(), letters.size());
    for (size_t i = 0; i < letters.size(); ++i) {
      const auto& [value, key, reason, text, stream, source, offset, index] = letters[i];
      EXPECT_EQ(value, got[i].value);
      EXPECT_EQ(key, got[i].key);
      EXPECT_EQ(reason, got[i].reason);
      EXPECT_EQ(text, got[i].message);
      EXPECT_EQ(stream, got[i].stream);
      EXPECT_EQ(source, got[i].source);
      EXPECT_EQ(offset, got[i].offset);
      EXPECT_EQ(index, got[i].index);
    }
  }
}

// 1,000 rows of 8 bytes and a text of 7 + 3 bytes: a slice of ten sends ten.
TEST(RowsCodec, OnlyTheSlicesBytesTravel) {
  MessageEncoder encoder(2);
  const auto batch = Texts(1000);
  const int64_t all = Encode(&encoder, ToSink(batch)).ValueOrDie()->size();
  EXPECT_GT(all, 1000 * (8 + 4 + 9));
  const int64_t slice = Encode(&encoder, ToSink(batch->Slice(500, 10))).ValueOrDie()->size();
  EXPECT_LT(slice, 10 * (8 + 4 + 10) + 700);
  std::vector<uint32_t> ten(10);
  std::iota(ten.begin(), ten.end(), 500u);
  EXPECT_LT(Encode(&encoder, ToTask(batch, ten)).ValueOrDie()->size(), slice + 10 * 8 + 100);
}

TEST(RowsCodec, WhatIsReceivedLiesInTheMessage) {
  MessageEncoder encoder(2);
  MessageDecoder decoder(2);
  const auto bytes = Encode(&encoder, ToSink(Texts(100))).ValueOrDie();
  const DataFrame got = Decode(&decoder, bytes).ValueOrDie();
  const uint8_t* const values = got.rows.batch->column_data(1)->buffers[1]->data();
  EXPECT_GE(values, bytes->data());
  EXPECT_LT(values, bytes->data() + bytes->size());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(values) % 8, 0u);
}

TEST(RowsCodec, WhatLiesAtOddAddressesIsCopied) {
  MessageEncoder encoder(1);
  const DataFrame data = FrameMaker(11).Data();
  const auto bytes = Encode(&encoder, data).ValueOrDie();
  for (int64_t shift = 1; shift < 8; ++shift) {
    MessageDecoder decoder(1);
    const auto shifted =
        arrow::Buffer::FromString(std::string(size_t(shift), 'x') + bytes->ToString());
    const DataFrame got = Decode(&decoder, arrow::SliceBuffer(shifted, shift)).ValueOrDie();
    ExpectSame(data, got);
    for (const auto& column : got.rows.batch->column_data()) {
      for (const auto& buffer : column->buffers) {
        EXPECT_EQ(buffer == nullptr ? 0 : reinterpret_cast<uintptr_t>(buffer->data()) % 8, 0u);
      }
    }
  }
}

TEST(RowsCodec, RowsOfOneRecordKeepOneRecord) {
  DataFrame data = ToTask(Texts(5), {1, 2, 4});
  auto origins = std::make_shared<Origins>();
  origins->offsets = {10, 10, 10, 11, 12};
  data.rows.origins = origins;
  data.rows.originals = std::make_shared<testing::TestOriginals>(
      std::vector<std::pair<std::string, std::string>>{{"a", "x"}, {"bc", ""}, {"", "yz"}});
  data.rows.original_rows =
      std::make_shared<std::vector<int32_t>>(std::vector<int32_t>{2, 1, 1, 0, 2});
  MessageEncoder encoder(2);
  MessageDecoder decoder(2);
  const DataFrame got = Decode(&decoder, Encode(&encoder, data).ValueOrDie()).ValueOrDie();
  EXPECT_EQ(*got.rows.original_rows, (std::vector<int32_t>{0, 0, 1}));
  EXPECT_EQ(got.rows.originals->ValueOfRow(0), "bc");
  EXPECT_EQ(got.rows.originals->ValueOfRow(1), "");
  EXPECT_EQ(got.rows.originals->KeyOfRow(1), "yz");
  EXPECT_EQ(got.rows.originals->bytes(), 4);
}

TEST(RowsCodec, WhatDoesNotFitTogetherIsNotSent) {
  MessageEncoder encoder(2);
  const auto code = [&](const auto& change) {
    DataFrame data = ToTask(Texts(3), {0, 2});
    change(&data);
    return CodeOf(Encode(&encoder, data).status());
  };
  EXPECT_EQ(code([](DataFrame*) {}), "OK");
  EXPECT_EQ(code([](DataFrame* d) { d->rows.batch = nullptr; }), "unsendable_rows");
  EXPECT_EQ(code([](DataFrame* d) { d->hashes = nullptr; }), "unsendable_rows");
  EXPECT_EQ(code([](DataFrame* d) { d->selection = {3}; }), "unsendable_rows");
  EXPECT_EQ(code([](DataFrame* d) { d->hashes = std::make_shared<std::vector<uint64_t>>(2); }),
            "unsendable_rows");
  EXPECT_EQ(code([](DataFrame* d) { d->rows.items = std::make_shared<std::vector<uint64_t>>(2); }),
            "unsendable_rows");
  EXPECT_EQ(code([](DataFrame* d) { d->rows.origins = std::make_shared<Origins>(); }),
            "unsendable_rows");
  EXPECT_EQ(code([](DataFrame* d) {
              d->rows.originals = std::make_shared<testing::TestOriginals>(
                  std::vector<std::pair<std::string, std::string>>(3));
            }),
            "unsendable_rows");
  EXPECT_EQ(code([](DataFrame* d) {
              d->rows.batch = arrow::RecordBatch::Make(
                  arrow::schema({arrow::field("list", arrow::list(arrow::int32()))}), 3,
                  {arrow::MakeArrayOfNull(arrow::list(arrow::int32()), 3).ValueOrDie()});
            }),
            "unsendable_rows");
}

// ---- protocol 2: schemas by number
// ---------------------------------------------------------------

TEST(RowsCodec, ASchemaTravelsOnceASession) {
  for (const int32_t protocol : {1, 2}) {
    MessageEncoder encoder(protocol);
    MessageDecoder decoder(protocol);
    std::vector<int64_t> sizes;
    // The same schema made anew for each batch.
    for (int i = 0; i < 3; ++i) {
      const auto bytes = Encode(&encoder, ToSink(Texts(4))).ValueOrDie();
      sizes.push_back(bytes->size());
      EXPECT_TRUE(Decode(&decoder, bytes).ok());
    }
    EXPECT_EQ(sizes[1], sizes[2]);
    EXPECT_EQ(sizes[0] > sizes[1], protocol == 2);
  }
}

std::shared_ptr<arrow::RecordBatch> NamedBatch(const std::string& name) {
  arrow::Int32Builder numbers;
  Must(numbers.Append(7));
  return arrow::RecordBatch::Make(arrow::schema({arrow::field(name, arrow::int32())}), 1,
                                  {numbers.Finish().ValueOrDie()});
}

// More schemas than either end keeps, by number and by size, met again and again.
TEST(RowsCodec, ForgottenSchemasAreSentAgain) {
  MessageEncoder encoder(2);
  MessageDecoder decoder(2);
  FrameMaker random(5);
  int sent_again = 0;
  for (int i = 0; i < 6000; ++i) {
    const uint64_t which = random.Below(2 * kKnownSchemasMax);
    std::string name = std::to_string(which);
    if (which % 100 == 0) name += std::string(400'000, 'x');
    const auto bytes = Encode(&encoder, ToSink(NamedBatch(name))).ValueOrDie();
    uint32_t schema_bytes = 0;
    std::memcpy(&schema_bytes, bytes->data() + 8, 4);
    sent_again += schema_bytes > 0;
    const auto got = Decode(&decoder, bytes);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->rows.batch->schema()->field(0)->name(), name);
  }
  EXPECT_GT(sent_again, int(2 * kKnownSchemasMax));
  EXPECT_LT(sent_again, 6000);
}

TEST(RowsCodec, AMessageThatIsTooLargeLeavesTheSessionWhole) {
  MessageEncoder encoder(2);
  MessageDecoder decoder(2);
  const MessageEnvelope long_name = {std::string(size_t(kEnvelopeBytesMax), 'x'), 1, Address(2),
                                     Address(3)};
  const auto failed =
      encoder.Encode(long_name, ChannelFrame{5, MakeFrame(ToSink(NamedBatch("a")), 1)}, kNow);
  EXPECT_EQ(CodeOf(failed.status()), "message_too_large");
  for (const char* const name : {"b", "a", "b"}) {
    const auto got = Decode(&decoder, Encode(&encoder, ToSink(NamedBatch(name))).ValueOrDie());
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->rows.batch->schema()->field(0)->name(), name);
  }
}

TEST(RowsCodec, AMessageThatIsOnlyOpenedTeachesItsSchema) {
  MessageEncoder encoder(2);
  MessageDecoder decoder(2);
  EXPECT_TRUE(decoder.Open(Encode(&encoder, ToSink(Texts(1))).ValueOrDie()).ok());
  EXPECT_TRUE(Decode(&decoder, Encode(&encoder, ToSink(Texts(2))).ValueOrDie()).ok());
  MessageDecoder other(2);
  EXPECT_EQ(CodeOf(Decode(&other, Encode(&encoder, ToSink(Texts(2))).ValueOrDie()).status()),
            "bad_message");
}

// ---- damage
// --------------------------------------------------------------------------------------

// Sound, or refused.
void ExpectSafe(const std::shared_ptr<arrow::Buffer>& bytes, int32_t protocol) {
  MessageDecoder decoder(protocol);
  const auto opened = decoder.Open(bytes);
  if (!opened.ok()) {
    EXPECT_EQ(CodeOf(opened.status()), "bad_message");
    return;
  }
  const auto message = decoder.Decode(*opened, kNow);
  if (!message.ok()) {
    EXPECT_EQ(CodeOf(message.status()), "bad_message");
    return;
  }
  const auto* const frame = std::get_if<ChannelFrame>(&*message);
  const auto* const data = frame == nullptr ? nullptr : std::get_if<DataFrame>(&frame->frame->body);
  if (data == nullptr) return;
  const int64_t rows = data->rows.size();
  // Every cell is read; text may be no UTF-8.
  size_t read = 0;
  for (const auto& column : data->rows.batch->columns()) {
    EXPECT_EQ(column->length(), rows);
    EXPECT_TRUE(column->Validate().ok());
    for (int64_t row = 0; row < rows; ++row) read += Cell(*column, row).value_or("").size();
  }
  EXPECT_TRUE(data->hashes == nullptr || int64_t(data->hashes->size()) == rows);
  EXPECT_EQ(int64_t(data->selection.size()), data->sink < 0 ? rows : 0);
  for (int64_t row = 0; data->rows.originals != nullptr && row < rows; ++row) {
    const int64_t record = data->rows.original_rows ? (*data->rows.original_rows)[row] : row;
    const std::string value(data->rows.originals->ValueOfRow(record));
    const std::string key(data->rows.originals->KeyOfRow(record));
    read += value.size() + key.size();
    EXPECT_EQ(int64_t(data->rows.origins->offsets.size()), rows);
  }
  EXPECT_LE(read, size_t(bytes->size()) * 1000);
}

// In memory of its own size, so that a sanitizer sees every byte that is read beyond its end.
std::shared_ptr<arrow::Buffer> Exact(std::string_view bytes) {
  auto* const memory = new uint8_t[bytes.size()];
  std::memcpy(memory, bytes.data(), bytes.size());
  return std::shared_ptr<arrow::Buffer>(new arrow::Buffer(memory, int64_t(bytes.size())),
                                        [memory](arrow::Buffer* buffer) {
                                          delete buffer;
                                          delete[] memory;
                                        });
}

TEST(RowsCodec, TruncatedMessagesAreRefused) {
  for (const int32_t protocol : {1, 2}) {
    for (uint64_t seed = 1; seed <= 12; ++seed) {
      MessageEncoder encoder(protocol);
      const std::string bytes = Encode(&encoder, FrameMaker(seed).Data()).ValueOrDie()->ToString();
      for (size_t size = 0; size<bytes.size(); size += bytes.size()> 20'000 ? 97 : 1) {
        MessageDecoder decoder(protocol);
        const auto cut = decoder.Open(Exact(std::string_view(bytes).substr(0, size)));
        ASSERT_EQ(CodeOf(cut.status()), "bad_message") << size;
      }
    }
  }
}

TEST(RowsCodec, FlippedBitsAreHarmless) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    const int32_t protocol = 1 + int32_t(seed % 2);
    FrameMaker random(seed);
    MessageEncoder encoder(protocol);
    FrameBody body = random.Data();
    if (seed % 8 == 0) body = DeadLetterFrame{random.Letters()};
    const std::string whole =
        encoder.Encode(kEnvelope, ChannelFrame{1, MakeFrame(std::move(body), 9)}, kNow)
            .ValueOrDie()
            ->ToString();
    for (int i = 0; i < 100; ++i) {
      std::string bytes = whole;
      // Half of them near the beginning, where numbers stand that say how to read the rest.
      const size_t end = i % 2 == 0 ? bytes.size() : std::min<size_t>(bytes.size(), 600);
      const int flips = 1 + int(random.Below(3));
      for (int flip = 0; flip < flips; ++flip) {
        bytes[random.Below(end)] ^= char(1 << random.Below(8));
      }
      SCOPED_TRACE("seed " + std::to_string(seed) + ", flip " + std::to_string(i));
      ExpectSafe(Exact(bytes), protocol);
      if (HasFailure()) return;
    }
  }
}

TEST(RowsCodec, GarbageIsRefused) {
  FrameMaker random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = random.Bytes(300);
    if (!bytes.empty()) bytes[0] = char(1 + i % 2);
    ExpectSafe(Exact(bytes), 1 + i % 2);
  }
}

// A batch in a frame whose rows, sizes and schema say something else.
TEST(RowsCodec, OffsetsThatPointOutsideAreRefused) {
  MessageEncoder encoder(2);
  const auto bytes = Encode(&encoder, ToSink(Texts(4))).ValueOrDie();
  // The text's offsets are the first buffer: 0, 8, 16, 24, 32.
  const std::string whole = bytes->ToString();
  const int32_t offsets[] = {0, 8, 16, 24, 32};
  const size_t at =
      whole.find(std::string_view(reinterpret_cast<const char*>(offsets), sizeof(offsets)));
  ASSERT_NE(at, std::string::npos);
  const auto code = [&](int which, int32_t offset) {
    std::string changed = whole;
    std::memcpy(changed.data() + at + size_t(which) * 4, &offset, 4);
    MessageDecoder decoder(2);
    return CodeOf(Decode(&decoder, Exact(changed)).status());
  };
  EXPECT_EQ(code(0, 0), "OK");
  EXPECT_EQ(code(0, -1), "bad_message");
  EXPECT_EQ(code(1, 17), "bad_message");  // behind the next
  EXPECT_EQ(code(2, -5), "bad_message");
  EXPECT_EQ(code(2, INT32_MAX), "bad_message");
  EXPECT_EQ(code(4, 1 << 20), "bad_message");
}

}  // namespace
}  // namespace millrace
