#include <arrow/util/base64.h>

#include "engine/base/utf8.h"
#include "engine/connectors/files/roll_writer.h"

namespace millrace {
namespace {

void AppendString(std::string_view text, std::string* line) {
  constexpr char kDigits[] = "0123456789abcdef";
  line->push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line->push_back('\\');
      line->push_back(c);
    } else if (c == '\n') {
      line->append("\\n");
    } else if (byte < 0x20) {
      line->append("\\u00").push_back(kDigits[byte >> 4]);
      line->push_back(kDigits[byte & 15]);
    } else {
      line->push_back(c);
    }
  }
  line->push_back('"');
}

void AppendBytes(std::string_view name, std::string_view bytes, std::string* line) {
  const bool utf8 = IsUtf8(bytes);
  line->append(",\"").append(name).append(utf8 ? "\":" : "_base64\":");
  AppendString(utf8 ? std::string(bytes) : arrow::util::base64_encode(bytes), line);
}

}  // namespace

std::shared_ptr<arrow::Schema> LineSchema() {
  return arrow::schema({arrow::field("line", arrow::utf8(), /*nullable=*/false)});
}

std::string DeadLetterLine(const DeadLetter& letter) {
  std::string line = "{\"reason\":";
  AppendString(letter.reason, &line);
  AppendBytes("message", letter.message, &line);
  AppendBytes("stream", letter.stream, &line);
  if (!letter.source.topic.empty()) {
    AppendBytes("topic", letter.source.topic, &line);
    line.append(",\"partition\":").append(std::to_string(letter.source.partition));
    line.append(",\"offset\":").append(std::to_string(letter.offset));
    if (letter.index >= 0) line.append(",\"index\":").append(std::to_string(letter.index));
  }
  if (!letter.key.empty()) AppendBytes("key", letter.key, &line);
  AppendBytes("value", letter.value, &line);
  line.push_back('}');
  return line;
}

}  // namespace millrace
