// Parts of JSON values: -> and ->>, #> and #>>, json_array_length, json_typeof. What is given is
// the text as it is written, as of PostgreSQL's json; where there is no such part it is null.
#include <algorithm>
#include <optional>

#include "engine/json/json_text.h"
#include "engine/model/number.h"
#include "engine/operators/kernel_loops.h"
#include "engine/plan/text_array.h"

namespace millrace {
namespace {

using Text = std::string_view;

// What reads the values of one call, and the path of the last row, which is nearly always a
// literal.
class JsonReader : public KernelState {
 public:
  static JsonReader* Of(CallMemory* memory) {
    if (memory->state == nullptr) memory->state = std::make_unique<JsonReader>();
    return static_cast<JsonReader*>(memory->state.get());
  }

  JsonText* json() { return &json_; }

  // Null where it is no array of texts.
  const std::vector<std::optional<std::string>>* Path(Text path) {
    if (!known_ || path_ != path) {
      known_ = true;
      path_ = path;
      steps_ = ParseTextArray(path);
    }
    return steps_.has_value() ? &*steps_ : nullptr;
  }

  std::string* unescaped() { return &unescaped_; }

 private:
  JsonText json_;
  bool known_ = false;
  std::string path_;
  std::optional<std::vector<std::optional<std::string>>> steps_;
  std::string unescaped_;
};

// A part as ->> and #>> give it: strings without their quotes and escapes, JSON's null as null.
Fault ToText(CallMemory* memory, std::optional<Text>* part) {
  if (!part->has_value()) return Fault::kNone;
  std::string* const scratch = JsonReader::Of(memory)->unescaped();
  Text text;
  switch (ReadJsonAsText(**part, scratch, &text)) {
    case JsonAsText::kNull:
      part->reset();
      return Fault::kNone;
    case JsonAsText::kInvalid:
      return Fault::kInvalidJson;
    case JsonAsText::kHoldsNul:
      return Fault::kNulInText;
    case JsonAsText::kText:
      break;
  }
  if (text.data() != scratch->data()) {
    *part = text;
    return Fault::kNone;
  }
  return KeepText(memory, text, &**part);
}

struct MemberOf {
  using Key = Text;
  static Fault Find(CallMemory* memory, Text value, Text key, std::optional<Text>* part) {
    *part = JsonReader::Of(memory)->json()->Member(value, key);
    return Fault::kNone;
  }
};

struct ItemOf {
  using Key = int32_t;
  static Fault Find(CallMemory* memory, Text value, int32_t index, std::optional<Text>* part) {
    *part = JsonReader::Of(memory)->json()->Item(value, index);
    return Fault::kNone;
  }
};

// Of an array a step is an index, of an object a key.
std::optional<Text> StepInto(JsonText* json, Text value, const std::string& step) {
  if (JsonKind(value) == "object") return json->Member(value, step);
  int64_t index = 0;
  if (!ParseInt64(step, &index)) return std::nullopt;
  return json->Item(value, index);
}

struct PartAt {
  using Key = Text;
  static Fault Find(CallMemory* memory, Text value, Text path, std::optional<Text>* part) {
    JsonReader* const reader = JsonReader::Of(memory);
    const auto* const steps = reader->Path(path);
    if (steps == nullptr) return Fault::kInvalidTextArray;
    *part = steps->empty() ? value : TrimJson(value);
    for (const std::optional<std::string>& step : *steps) {
      if (!part->has_value()) return Fault::kNone;
      *part = step.has_value() ? StepInto(reader->json(), **part, *step) : std::nullopt;
    }
    return Fault::kNone;
  }
};

// The results of one call.
class Parts {
 public:
  Status Reserve(const KernelCall& call) {
    const int64_t rows = call.frame->rows();
    ARROW_ASSIGN_OR_RAISE(values_, call.memory->values.Allocate<Text>(rows));
    ARROW_ASSIGN_OR_RAISE(nulls_, call.memory->nulls.Allocate<uint8_t>(rows));
    call.memory->text.Reset();
    return Status::OK();
  }
  template <bool kAsText>
  void Put(const KernelCall& call, int64_t row, Fault fault, std::optional<Text> part) {
    if (kAsText && fault == Fault::kNone) {
      if (part.has_value()) part = TrimJson(*part);
      fault = ToText(call.memory, &part);
    }
    if (fault != Fault::kNone) {
      call.frame->Fail(row, fault, call.where);
      part.reset();
    }
    values_[row] = part.value_or(Text(""));
    nulls_[row] = part.has_value() ? 0 : 1;
  }
  void Finish(const KernelCall& call, Column* out) const {
    *out = Column();
    out->type = call.result;
    out->values = values_;
    out->nulls = nulls_;
  }

 private:
  Text* values_ = nullptr;
  uint8_t* nulls_ = nullptr;
};

template <typename Op, bool kAsText>
Status Part(const KernelCall& call, Column* out) {
  Parts parts;
  ARROW_RETURN_NOT_OK(parts.Reserve(call));
  const ValueReader<Text> values = ReaderOf<Text>(call.args[0]);
  const ValueReader<typename Op::Key> steps = ReaderOf<typename Op::Key>(call.args[1]);
  call.rows.ForEach([&](int64_t row) {
    std::optional<Text> part;
    Fault fault = Fault::kNone;
    if (!call.args[0].IsNull(row) && !call.args[1].IsNull(row)) {
      fault = Op::Find(call.memory, values[row], steps[row], &part);
    }
    parts.Put<kAsText>(call, row, fault, part);
  });
  parts.Finish(call, out);
  return Status::OK();
}

// json_extract_path(value, step, ...).
template <bool kAsText>
Status ExtractPath(const KernelCall& call, Column* out) {
  Parts parts;
  ARROW_RETURN_NOT_OK(parts.Reserve(call));
  JsonText* const json = JsonReader::Of(call.memory)->json();
  const ValueReader<Text> values = ReaderOf<Text>(call.args[0]);
  std::string name;
  call.rows.ForEach([&](int64_t row) {
    std::optional<Text> part;
    if (!call.args[0].IsNull(row)) part = TrimJson(values[row]);
    for (const Column& step : call.args.subspan(1)) {
      if (!part.has_value()) break;
      if (step.IsNull(row)) {
        part.reset();
        break;
      }
      name = ReaderOf<Text>(step)[row];
      part = StepInto(json, *part, name);
    }
    parts.Put<kAsText>(call, row, Fault::kNone, part);
  });
  parts.Finish(call, out);
  return Status::OK();
}

struct ArrayLength {
  static Fault Call(CallMemory* memory, Text value, int32_t* result) {
    const int64_t length = JsonReader::Of(memory)->json()->Length(value);
    if (length < 0) return JsonKind(value) == "object" ? Fault::kNonArray : Fault::kScalarArray;
    *result = int32_t(length);
    return Fault::kNone;
  }
};

struct TypeOf {
  static Fault Call(CallMemory*, Text value, Text* result) {
    *result = JsonKind(value);
    return Fault::kNone;
  }
};

}  // namespace

std::vector<NamedKernel> JsonKernels() {
  constexpr Type kJson = Type::kJson;
  constexpr Type kTxt = Type::kText;
  return {
      {"->", {kJson, kTxt}, &Part<MemberOf, false>},
      {"->", {kJson, Type::kInteger}, &Part<ItemOf, false>},
      {"->>", {kJson, kTxt}, &Part<MemberOf, true>},
      {"->>", {kJson, Type::kInteger}, &Part<ItemOf, true>},
      {"#>", {kJson, kTxt}, &Part<PartAt, false>},
      {"#>>", {kJson, kTxt}, &Part<PartAt, true>},
      {"json_extract_path", {kJson, kTxt}, &ExtractPath<false>},
      {"json_extract_path_text", {kJson, kTxt}, &ExtractPath<true>},
      {"json_array_length", {kJson}, &Custom<ArrayLength, int32_t, Text>},
      {"json_typeof", {kJson}, &Custom<TypeOf, Text, Text>},
  };
}

}  // namespace millrace
