// Messages of another process, from anywhere: refused, or rows that are safe to work with, of which
// every value is read. The first byte says the protocol; behind it stand messages, each with its
// size before it (4 bytes), of one session.
#include <cstring>

#include "engine/wire/wire_testing.h"
#include "tests/fuzz/seeds.h"

namespace millrace {
namespace {

constexpr MonotonicTime kNow = std::chrono::seconds(9);

// In memory of its own, of its size, so that every byte read beyond the end is seen.
std::shared_ptr<arrow::Buffer> Exact(std::string_view bytes) {
  auto* const memory = new uint8_t[bytes.size()];
  std::memcpy(memory, bytes.data(), bytes.size());
  return std::shared_ptr<arrow::Buffer>(new arrow::Buffer(memory, int64_t(bytes.size())),
                                        [memory](arrow::Buffer* buffer) {
                                          delete buffer;
                                          delete[] memory;
                                        });
}

uint64_t SumOf(std::string_view bytes) {
  uint64_t sum = 0;
  for (const char byte : bytes) sum += uint8_t(byte);
  return sum;
}

uint64_t ReadAll(const DataFrame& data) {
  const int64_t rows = data.rows.size();
  uint64_t sum = 0;
  for (const auto& column : data.rows.batch->columns()) {
    if (column->length() != rows) fuzz::Fail("a column of another length");
    const Status valid = column->Validate();
    if (!valid.ok()) fuzz::Fail("a column that is none: " + valid.ToString());
    // Few enough for a program that tries many inputs; the last one too.
    for (int64_t row = 0; row < rows; row += 1 + rows / 1000) {
      sum += SumOf(testing::Cell(*column, row).value_or(""));
    }
    if (rows > 0) sum += SumOf(testing::Cell(*column, rows - 1).value_or(""));
  }
  if (data.hashes != nullptr && int64_t(data.hashes->size()) != rows) fuzz::Fail("hashes");
  if (int64_t(data.selection.size()) != (data.sink < 0 ? rows : 0)) fuzz::Fail("selection");
  if (data.rows.originals == nullptr) return sum;
  if (int64_t(data.rows.origins->offsets.size()) != rows) fuzz::Fail("offsets");
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t record = data.rows.original_rows ? (*data.rows.original_rows)[size_t(row)] : row;
    sum += SumOf(data.rows.originals->ValueOfRow(record));
    sum += SumOf(data.rows.originals->KeyOfRow(record));
  }
  return sum;
}

uint64_t ReadAll(const WireMessage& message) {
  const auto* const frame = std::get_if<ChannelFrame>(&message);
  if (frame == nullptr) return 0;
  const auto* const data = std::get_if<DataFrame>(&frame->frame->body);
  return data == nullptr ? 0 : ReadAll(*data);
}

// False: the session is over.
bool TakeOne(MessageDecoder* decoder, std::string_view bytes) {
  const auto refused = [](const Status& status) {
    const ErrorDetail* const detail = ErrorDetail::Of(status);
    if (detail == nullptr || detail->code() != "bad_message") fuzz::Fail(status.ToString());
    return false;
  };
  const auto opened = decoder->Open(Exact(bytes));
  if (!opened.ok()) return refused(opened.status());
  const auto message = decoder->Decode(*opened, kNow);
  if (!message.ok()) return refused(message.status());
  // Looked at, so that no compiler leaves the reading out.
  if (ReadAll(*message) == UINT64_MAX) fuzz::Fail("a sum that no bytes have");
  return true;
}

}  // namespace

std::vector<std::string> fuzz::Seeds() {
  std::vector<std::string> seeds;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    testing::FrameMaker random(seed);
    const int32_t protocol = 1 + int32_t(seed % 2);
    MessageEncoder encoder(protocol);
    std::string bytes(1, char(protocol));
    const auto add = [&](const WireMessage& message) {
      const auto made = encoder.Encode({"job", 3, Address(4), kCoordinatorAddress}, message, kNow);
      if (!made.ok()) Fail(made.status().ToString());
      if ((*made)->size() > 3000) return;
      const auto size = uint32_t((*made)->size());
      bytes.append(reinterpret_cast<const char*>(&size), sizeof(size));
      bytes += (*made)->ToString();
    };
    const DataFrame data = random.Data();
    add(ChannelFrame{1, testing::MakeFrame(data, 2)});
    add(ChannelFrame{1, testing::MakeFrame(data, 2)});
    add(ChannelFrame{3, testing::MakeFrame(DeadLetterFrame{random.Letters()}, 4)});
    add(ChannelFrame{5, testing::MakeFrame(WatermarkFrame{EventTime(Micros(6)), kNow}, 0)});
    add(StartReading{{{{{"topic", 1}, 2}, EventTime(Micros(3)), 4, 5}}, kEventTimeMin});
    add(ReleaseSegments{{1, Epoch(2), {proto::Segment()}}});
    add(ParticipantFailed{"task 3", std::make_shared<Status>(UserError("code", "why"))});
    seeds.push_back(std::move(bytes));
  }
  return seeds;
}

}  // namespace millrace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace millrace;
  if (size == 0) return 0;
  std::string_view left = fuzz::View(data + 1, size - 1);
  MessageDecoder decoder(1 + (data[0] + 1) % 2);
  for (int messages = 0; left.size() >= 4 && messages < 16; ++messages) {
    uint32_t bytes = 0;
    std::memcpy(&bytes, left.data(), sizeof(bytes));
    left.remove_prefix(sizeof(bytes));
    const std::string_view message = left.substr(0, bytes);
    left.remove_prefix(message.size());
    if (!TakeOne(&decoder, message)) break;
  }
  return 0;
}
