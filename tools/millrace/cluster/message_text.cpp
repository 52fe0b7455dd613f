#include "tools/millrace/cluster/message_text.h"

#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <spdlog/fmt/fmt.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>

#include "tools/millrace/cluster/terminal_text.h"

namespace millrace {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kQuotedBytesMax = 200;

std::string Print(const Message& message, bool for_people) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  options.add_whitespace = for_people;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  return status.ok() ? text : "{}";  // every message of ours has a JSON form
}

// Words that YAML 1.1 or 1.2 reads as something else than texts.
bool IsYamlWord(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  constexpr std::array<std::string_view, 9> kWords = {"true", "false", "yes", "no", "on",
                                                      "off",  "null",  "y",   "n"};
  return std::ranges::find(kWords, text) != kWords.end();
}

bool IsPlain(const std::string& text) {
  const auto letter = [](unsigned char c) { return std::isalpha(c) != 0 || c == '_'; };
  return !text.empty() && letter(text.front()) && !IsYamlWord(text) &&
         std::ranges::all_of(text, [&](unsigned char c) {
           return letter(c) || std::isdigit(c) != 0 || c == '-' || c == '/' || c == '.';
         });
}

// Whether a block keeps it as it is: lines, the last one with its end, none of them odd.
bool IsBlock(const std::string& text) {
  return text.size() > 1 && text.ends_with('\n') && !text.ends_with("\n\n") &&
         text.front() != ' ' && text.front() != '\n' && text.find('\t') == std::string::npos &&
         EscapeLines(text, "") + "\n" == text;
}

void EmitText(const std::string& text, YAML::Emitter* out) {
  if (IsPlain(text)) {
    *out << text;
  } else if (IsBlock(text)) {
    *out << YAML::Literal << text.substr(0, text.size() - 1);
  } else {
    *out << YAML::DoubleQuoted << text;
  }
}

void EmitMessage(const Message& message, YAML::Emitter* out);

// `index` < 0: the field is not repeated.
void EmitValue(const Message& message, const FieldDescriptor* field, int index,
               YAML::Emitter* out) {
  const Reflection& fields = *message.GetReflection();
  const bool one = index < 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return EmitMessage(one ? fields.GetMessage(message, field)
                             : fields.GetRepeatedMessage(message, field, index),
                         out);
    case FieldDescriptor::CPPTYPE_STRING:
      return EmitText(
          one ? fields.GetString(message, field) : fields.GetRepeatedString(message, field, index),
          out);
    case FieldDescriptor::CPPTYPE_INT32:
      *out << (one ? fields.GetInt32(message, field)
                   : fields.GetRepeatedInt32(message, field, index));
      return;
    case FieldDescriptor::CPPTYPE_INT64:
      *out << (one ? fields.GetInt64(message, field)
                   : fields.GetRepeatedInt64(message, field, index));
      return;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      // yaml-cpp would write 0.8 with 17 digits.
      *out << fmt::format("{}", one ? fields.GetDouble(message, field)
                                    : fields.GetRepeatedDouble(message, field, index));
      return;
    case FieldDescriptor::CPPTYPE_BOOL:
      *out << (one ? fields.GetBool(message, field)
                   : fields.GetRepeatedBool(message, field, index));
      return;
    default:
      *out << YAML::Null;  // no other type is used in admin.proto
  }
}

void EmitMessage(const Message& message, YAML::Emitter* out) {
  const auto* const descriptor = message.GetDescriptor();
  *out << YAML::BeginMap;
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* const field = descriptor->field(i);
    *out << YAML::Key << field->name() << YAML::Value;
    if (!field->is_repeated()) {
      EmitValue(message, field, -1, out);
      continue;
    }
    const int count = message.GetReflection()->FieldSize(message, field);
    if (count == 0) *out << YAML::Flow;
    *out << YAML::BeginSeq;
    for (int index = 0; index < count; ++index) EmitValue(message, field, index, out);
    *out << YAML::EndSeq;
  }
  *out << YAML::EndMap;
}

}  // namespace

std::string ToJson(const Message& message) { return Print(message, /*for_people=*/true); }

std::string ToJsonLine(const Message& message) { return Print(message, /*for_people=*/false); }

std::string ToYaml(const Message& message) {
  YAML::Emitter out;
  out.SetOutputCharset(YAML::EmitNonAscii);
  EmitMessage(message, &out);
  return std::string(out.c_str()) + "\n";
}

Status ParseJson(std::string_view json, Message* into) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage(std::string(json), into, options);
  if (status.ok()) return Status::OK();
  const std::string why(status.message());  // its place is in further lines
  return ExternalError(
      "bad_answer",
      "what answers is no coordinator's admin API: " + EscapeLine(why.substr(0, why.find('\n'))) +
          ": " + EscapeLine(json.substr(0, kQuotedBytesMax)),
      Retry::kNo);
}

}  // namespace millrace
