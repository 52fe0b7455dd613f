#include "engine/connectors/message/message_decoder.h"

#include "engine/json/json_text.h"

namespace millrace {
namespace {

JsonFailure TooMany() {
  return {"too_many_readings",
          "more than " + std::to_string(kReadingsPerMessageMax) + " readings in one message"};
}

// The token behind the value at `token`, by its brackets alone; 0 where they do not close.
uint32_t Behind(const JsonDocument& document, uint32_t token) {
  int64_t open = 0;
  for (; token < document.count(); ++token) {
    const char c = document.Char(token);
    if (c == '{' || c == '[') ++open;
    if (c == '}' || c == ']') --open;
    if (open < 0) return 0;
    if (open == 0) return token + 1;
  }
  return 0;
}

}  // namespace

MessageDecoder::MessageDecoder(const SourceStreamSpec& spec, const std::vector<int>& used_columns) {
  if (spec.format == Format::kCsv) {
    csv_.emplace(spec, used_columns);
    lines_.emplace(spec.csv);
    return;
  }
  json_.emplace(spec, used_columns);
  if (spec.format == Format::kSenml) senml_.emplace(spec, used_columns);
}

Status MessageDecoder::Reserve(int64_t rows) {
  return csv_.has_value() ? csv_->Reserve(rows) : json_->Reserve(rows);
}

void MessageDecoder::Append(std::string_view message, DecodedMessage* decoded) {
  decoded->rows.clear();
  decoded->refused.clear();
  if (csv_.has_value()) return AppendLines(message, decoded);
  if (senml_.has_value()) return AppendSenml(message, decoded);
  const size_t first = message.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && message[first] == '[') [[unlikely]] {
    return AppendArray(message, decoded);
  }
  if (json_->Append(message, &failure_)) {
    decoded->rows.push_back({message, -1});
  } else {
    decoded->refused.push_back({{message, -1}, failure_});
  }
}

void MessageDecoder::RefuseWhole(std::string_view message, int64_t rows_before, JsonFailure failure,
                                 DecodedMessage* decoded) {
  if (csv_.has_value()) {
    csv_->DropRows(rows_before);
  } else {
    json_->DropRows(rows_before);
  }
  decoded->rows.clear();
  decoded->refused.clear();
  decoded->refused.push_back({{message, -1}, std::move(failure)});
}

void MessageDecoder::AppendArray(std::string_view message, DecodedMessage* decoded) {
  const int64_t rows_before = json_->rows();
  JsonFailure whole;
  if (const char* error = document_.Index(message)) {
    whole = {"malformed", error};
  } else {
    AppendItems(rows_before, decoded, &whole);
  }
  if (!whole.reason.empty()) RefuseWhole(message, rows_before, std::move(whole), decoded);
}

// The document is an array. `whole` is set where the message is no JSON, or too long.
void MessageDecoder::AppendItems(int64_t rows_before, DecodedMessage* decoded, JsonFailure* whole) {
  if (document_.Char(1) == ']' && document_.count() == 2) return;
  int32_t index = 0;
  for (uint32_t token = 1;; ++token, ++index) {
    if (index == kReadingsPerMessageMax) {
      *whole = TooMany();
      return;
    }
    const uint32_t next = Behind(document_, token);
    if (next == 0 || next >= document_.count()) break;
    const bool is_object = document_.Char(token) == '{';
    const DecodedMessage::Reading reading = {document_.ValueText(token, next), index};
    if (is_object && json_->Append(reading.value, &failure_)) {
      decoded->rows.push_back(reading);
    } else {
      bool too_deep = false;
      if (!is_object) {
        failure_ = {"malformed", "not an object"};
        if (document_.SkipValue(token, 0, &too_deep) == 0 && !too_deep) break;
      } else if (failure_.reason == "malformed") {
        *whole = {"malformed", "item " + std::to_string(index) + ": " + failure_.message};
        return;
      }
      decoded->refused.push_back({reading, failure_});
    }
    token = next;
    if (document_.Char(token) == ',') continue;
    if (document_.Char(token) == ']' && token + 1 == document_.count()) return;
    break;
  }
  *whole = {"malformed", "not JSON at item " + std::to_string(index)};
}

void MessageDecoder::AppendLines(std::string_view message, DecodedMessage* decoded) {
  const int64_t rows_before = csv_->rows();
  std::string_view rest = message;
  for (int32_t index = 0; lines_->Next(&rest); ++index) {
    if (index == kReadingsPerMessageMax) {
      return RefuseWhole(message, rows_before, TooMany(), decoded);
    }
    const DecodedMessage::Reading reading = {lines_->line(), index};
    if (lines_->error() != nullptr) {
      decoded->refused.push_back({reading, {"malformed", lines_->error()}});
    } else if (csv_->Append(lines_->cells(), &failure_)) {
      decoded->rows.push_back(reading);
    } else {
      decoded->refused.push_back({reading, failure_});
    }
  }
}

void MessageDecoder::AppendSenml(std::string_view message, DecodedMessage* decoded) {
  const int64_t rows_before = json_->rows();
  if (!senml_->Open(message, &failure_)) {
    return RefuseWhole(message, rows_before, failure_, decoded);
  }
  for (;;) {
    const SenmlReader::Found found = senml_->Next(&failure_);
    if (found == SenmlReader::Found::kEnd) return;
    if (found == SenmlReader::Found::kBroken) {
      return RefuseWhole(message, rows_before, failure_, decoded);
    }
    const DecodedMessage::Reading reading = {senml_->record(), senml_->index()};
    if (reading.index >= kReadingsPerMessageMax) {
      return RefuseWhole(message, rows_before, TooMany(), decoded);
    }
    if (found == SenmlReader::Found::kReading && json_->Append(senml_->resolved(), &failure_)) {
      decoded->rows.push_back(reading);
    } else {
      decoded->refused.push_back({reading, failure_});
    }
  }
}

Result<std::shared_ptr<arrow::RecordBatch>> MessageDecoder::Finish() {
  return csv_.has_value() ? csv_->Finish() : json_->Finish();
}

}  // namespace millrace
