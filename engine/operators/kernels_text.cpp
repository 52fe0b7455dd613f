// Functions that make text. Positions and lengths are in characters; what can be a piece of an
// argument is a view of it and costs no copy.
#include <algorithm>
#include <charconv>

#include "engine/operators/kernel_loops.h"
#include "engine/operators/utf8.h"

namespace millrace {
namespace {

using Text = std::string_view;

// The parts one after another, as one text.
Fault Join(CallMemory* memory, std::initializer_list<Text> parts, Text* result) {
  size_t size = 0;
  for (const Text part : parts) size += part.size();
  char* place;
  if (const Fault fault = MakeText(memory, size, &place); fault != Fault::kNone) return fault;
  *result = {place, size};
  for (const Text part : parts) place = std::copy(part.begin(), part.end(), place);
  return Fault::kNone;
}

struct Concatenate {
  static Fault Call(CallMemory* memory, Text a, Text b, Text* result) {
    return Join(memory, {a, b}, result);
  }
};

class CaseBuffer : public KernelState {
 public:
  static std::string* Of(CallMemory* memory) {
    if (memory->state == nullptr) memory->state = std::make_unique<CaseBuffer>();
    return &static_cast<CaseBuffer*>(memory->state.get())->buffer_;
  }

 private:
  std::string buffer_;
};

template <LetterCase kCase>
struct InCase {
  static Fault Call(CallMemory* memory, Text text, Text* result) {
    std::string* const buffer = CaseBuffer::Of(memory);
    ConvertCase(text, kCase, buffer);
    return Join(memory, {*buffer}, result);
  }
};

struct Length {
  static Fault Call(CallMemory*, Text text, int32_t* result) {
    *result = int32_t(CountCharacters(text));
    return Fault::kNone;
  }
};

struct OctetLength {
  static Fault Call(CallMemory*, Text text, int32_t* result) {
    *result = int32_t(text.size());
    return Fault::kNone;
  }
};

Text Between(Text text, int64_t first, int64_t end) {
  const size_t from = OffsetOfCharacter(text, std::max<int64_t>(first, 0));
  const Text rest = text.substr(from);
  return rest.substr(0, OffsetOfCharacter(rest, end - std::max<int64_t>(first, 0)));
}

struct SubstringFrom {
  static Fault Call(CallMemory*, Text text, int32_t start, Text* result) {
    *result = text.substr(OffsetOfCharacter(text, int64_t(start) - 1));
    return Fault::kNone;
  }
};

struct Substring {
  static Fault Call(CallMemory*, Text text, int32_t start, int32_t length, Text* result) {
    if (length < 0) return Fault::kNegativeSubstringLength;
    const int64_t first = int64_t(start) - 1;
    *result = Between(text, first, first + length);
    return Fault::kNone;
  }
};

struct Left {
  static Fault Call(CallMemory*, Text text, int32_t count, Text* result) {
    const int64_t end = count >= 0 ? count : CountCharacters(text) + count;
    *result = Between(text, 0, end);
    return Fault::kNone;
  }
};

struct Right {
  static Fault Call(CallMemory*, Text text, int32_t count, Text* result) {
    const int64_t first = count >= 0 ? CountCharacters(text) - count : -int64_t(count);
    *result = text.substr(OffsetOfCharacter(text, first));
    return Fault::kNone;
  }
};

// Whether the character of `text` at `offset` is one of `set`.
bool IsOneOf(Text text, size_t offset, size_t size, Text set) {
  const Text character = text.substr(offset, size);
  for (size_t i = 0; i < set.size();) {
    const size_t other = CharacterSize(set, i);
    if (set.substr(i, other) == character) return true;
    i += other;
  }
  return false;
}

template <bool kStart, bool kEnd>
struct Trim {
  static Fault Call(CallMemory*, Text text, Text set, Text* result) {
    while (kStart && !text.empty()) {
      const size_t size = CharacterSize(text, 0);
      if (!IsOneOf(text, 0, size, set)) break;
      text.remove_prefix(size);
    }
    while (kEnd && !text.empty()) {
      size_t last = text.size() - 1;
      while (last > 0 && IsContinuation(text[last])) --last;
      if (!IsOneOf(text, last, text.size() - last, set)) break;
      text.remove_suffix(text.size() - last);
    }
    *result = text;
    return Fault::kNone;
  }
};

template <bool kStart, bool kEnd>
struct TrimSpaces {
  static Fault Call(CallMemory* memory, Text text, Text* result) {
    return Trim<kStart, kEnd>::Call(memory, text, " ", result);
  }
};

struct Replace {
  static Fault Call(CallMemory* memory, Text text, Text from, Text to, Text* result) {
    *result = text;
    if (from.empty()) return Fault::kNone;
    size_t found = 0;
    for (size_t at = text.find(from); at != Text::npos; at = text.find(from, at + from.size())) {
      ++found;
    }
    if (found == 0) return Fault::kNone;
    const size_t kept = text.size() - found * from.size();
    if (to.size() > kTextBytesMax || kept > kTextBytesMax) return Fault::kTextTooLong;
    const size_t size = kept + found * to.size();
    char* place;
    if (const Fault fault = MakeText(memory, size, &place); fault != Fault::kNone) return fault;
    *result = {place, size};
    size_t start = 0;
    for (size_t at = text.find(from); at != Text::npos; at = text.find(from, start)) {
      place = std::copy(text.begin() + start, text.begin() + at, place);
      place = std::copy(to.begin(), to.end(), place);
      start = at + from.size();
    }
    std::copy(text.begin() + start, text.end(), place);
    return Fault::kNone;
  }
};

template <bool kFront>
struct PadWith {
  static Fault Call(CallMemory* memory, Text text, int32_t width, Text fill, Text* result) {
    const int64_t wanted = std::max(width, 0);
    const int64_t missing = wanted - CountCharacters(text);
    if (missing <= 0 || fill.empty()) {
      *result = text.substr(0, OffsetOfCharacter(text, wanted));
      return Fault::kNone;
    }
    const int64_t fill_length = std::max<int64_t>(CountCharacters(fill), 1);
    const size_t whole = size_t(missing / fill_length);
    const size_t part = OffsetOfCharacter(fill, missing % fill_length);
    if (whole > kTextBytesMax) return Fault::kTextTooLong;
    const size_t size = text.size() + whole * fill.size() + part;
    char* place;
    if (const Fault fault = MakeText(memory, size, &place); fault != Fault::kNone) return fault;
    *result = {place, size};
    if (!kFront) place = std::copy(text.begin(), text.end(), place);
    for (size_t i = 0; i < whole; ++i) place = std::copy(fill.begin(), fill.end(), place);
    place = std::copy(fill.begin(), fill.begin() + part, place);
    if (kFront) std::copy(text.begin(), text.end(), place);
    return Fault::kNone;
  }
};

template <bool kFront>
struct Pad {
  static Fault Call(CallMemory* memory, Text text, int32_t width, Text* result) {
    return PadWith<kFront>::Call(memory, text, width, " ", result);
  }
};

struct Repeat {
  static Fault Call(CallMemory* memory, Text text, int32_t count, Text* result) {
    if (count <= 0 || text.empty()) {
      *result = "";
      return Fault::kNone;
    }
    char* place;
    const size_t size = text.size() * size_t(count);
    if (const Fault fault = MakeText(memory, size, &place); fault != Fault::kNone) return fault;
    *result = {place, size};
    for (int32_t i = 0; i < count; ++i) place = std::copy(text.begin(), text.end(), place);
    return Fault::kNone;
  }
};

struct Reverse {
  static Fault Call(CallMemory* memory, Text text, Text* result) {
    char* place;
    if (const Fault fault = MakeText(memory, text.size(), &place); fault != Fault::kNone) {
      return fault;
    }
    *result = {place, text.size()};
    char* end = place + text.size();
    for (size_t i = 0; i < text.size();) {
      const size_t size = CharacterSize(text, i);
      end -= size;
      std::copy_n(text.begin() + i, size, end);
      i += size;
    }
    return Fault::kNone;
  }
};

struct SplitPart {
  static Fault Call(CallMemory*, Text text, Text delimiter, int32_t field, Text* result) {
    if (field == 0) return Fault::kZeroFieldPosition;
    *result = "";
    if (delimiter.empty()) {
      if (field == 1 || field == -1) *result = text;
      return Fault::kNone;
    }
    int64_t wanted = field;
    if (field < 0) {
      int64_t fields = 1;
      for (size_t at = text.find(delimiter); at != Text::npos;
           at = text.find(delimiter, at + delimiter.size())) {
        ++fields;
      }
      wanted = fields + field + 1;
      if (wanted < 1) return Fault::kNone;
    }
    for (; wanted > 1; --wanted) {
      const size_t at = text.find(delimiter);
      if (at == Text::npos) return Fault::kNone;
      text.remove_prefix(at + delimiter.size());
    }
    *result = text.substr(0, text.find(delimiter));
    return Fault::kNone;
  }
};

struct BitLength {
  static Fault Call(CallMemory*, Text text, int32_t* result) {
    *result = int32_t(text.size() * 8);
    return Fault::kNone;
  }
};

// Every character of the second replaced by the one at its place in the third, or left out.
struct Translate {
  static Fault Call(CallMemory* memory, Text text, Text from, Text to, Text* result) {
    char* place;
    // A character is at most four bytes.
    const Fault fault = MakeText(memory, text.size() * 4, &place);
    if (fault != Fault::kNone) return fault;
    char* end = place;
    for (size_t i = 0; i < text.size();) {
      Text character = text.substr(i, CharacterSize(text, i));
      i += character.size();
      const size_t at = Find(from, character);
      if (at != Text::npos) {
        const size_t start = OffsetOfCharacter(to, int64_t(at));
        character = start < to.size() ? to.substr(start, CharacterSize(to, start)) : Text();
      }
      end = std::copy(character.begin(), character.end(), end);
    }
    *result = {place, size_t(end - place)};
    return Fault::kNone;
  }
  // The number of the character, or npos.
  static size_t Find(Text from, Text character) {
    size_t index = 0;
    for (size_t i = 0; i < from.size(); ++index) {
      const size_t size = CharacterSize(from, i);
      if (from.substr(i, size) == character) return index;
      i += size;
    }
    return Text::npos;
  }
};

struct Ascii {
  static Fault Call(CallMemory*, Text text, int32_t* result) {
    *result = 0;
    if (text.empty()) return Fault::kNone;
    const auto first = uint8_t(text[0]);
    if (first < 0x80) {
      *result = first;
      return Fault::kNone;
    }
    const size_t size = CharacterSize(text, 0);
    *result = first & (0x7F >> size);
    for (size_t i = 1; i < size; ++i) *result = *result << 6 | (uint8_t(text[i]) & 0x3F);
    return Fault::kNone;
  }
};

struct Chr {
  static Fault Call(CallMemory* memory, int32_t code, Text* result) {
    if (code <= 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
      return Fault::kInvalidCharacter;
    }
    char* place;
    if (const Fault fault = MakeText(memory, 4, &place); fault != Fault::kNone) return fault;
    const auto unsigned_code = uint32_t(code);
    const size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size; i-- > 1;) {
      place[i] = char(0x80 | (unsigned_code >> (6 * (size - 1 - i)) & 0x3F));
    }
    const uint32_t lead = size == 1 ? 0 : 0xF00 >> size & 0xFF;
    place[0] = char(lead | unsigned_code >> (6 * (size - 1)));
    *result = {place, size};
    return Fault::kNone;
  }
};

template <typename T>
struct ToHex {
  static Fault Call(CallMemory* memory, T value, Text* result) {
    char* place;
    if (const Fault fault = MakeText(memory, 16, &place); fault != Fault::kNone) return fault;
    const auto end =
        std::to_chars(place, place + 16, std::make_unsigned_t<T>(value), /*base=*/16).ptr;
    *result = {place, size_t(end - place)};
    return Fault::kNone;
  }
};

// From character `start` (from 1) on, `count` characters give way.
struct OverlayPart {
  static Fault Call(CallMemory* memory, Text text, Text part, int32_t start, int32_t count,
                    Text* result) {
    if (start <= 0) return Fault::kNegativeSubstringLength;
    int32_t end;
    if (__builtin_add_overflow(start, count, &end)) return Fault::kIntegerOutOfRange;
    const int64_t behind = int64_t(end) - 1;
    const Text before = text.substr(0, OffsetOfCharacter(text, start - 1));
    const Text after = text.substr(behind <= 0 ? 0 : OffsetOfCharacter(text, behind));
    char* place;
    const size_t size = before.size() + part.size() + after.size();
    if (const Fault fault = MakeText(memory, size, &place); fault != Fault::kNone) return fault;
    *result = {place, size};
    for (const Text piece : {before, part, after}) {
      place = std::copy(piece.begin(), piece.end(), place);
    }
    return Fault::kNone;
  }
};

struct Overlay {
  static Fault Call(CallMemory* memory, Text text, Text part, int32_t start, Text* result) {
    return OverlayPart::Call(memory, text, part, start, int32_t(CountCharacters(part)), result);
  }
};

// concat and concat_ws: nulls are left out; a null separator makes concat_ws null.
template <bool kSeparated>
Status JoinAll(const KernelCall& call, Column* out) {
  const int64_t rows = call.frame->rows();
  call.memory->text.Reset();
  ARROW_ASSIGN_OR_RAISE(Text * values, call.memory->values.Allocate<Text>(rows));
  ARROW_ASSIGN_OR_RAISE(uint8_t * nulls, call.memory->nulls.Allocate<uint8_t>(rows));
  const std::span<const Column> parts = call.args.subspan(kSeparated ? 1 : 0);
  const Column& separators = call.args[0];
  const auto value = [](const Column& column, int64_t row) {
    return column.Values<Text>()[column.constant ? 0 : row];
  };
  call.rows.ForEach([&](int64_t row) {
    values[row] = "";
    nulls[row] = kSeparated && separators.IsNull(row);
    if (nulls[row] != 0) return;
    const Text separator = kSeparated ? value(separators, row) : Text();
    size_t size = 0;
    int64_t count = 0;
    for (const Column& part : parts) {
      if (part.IsNull(row)) continue;
      size += value(part, row).size() + (count++ > 0 ? separator.size() : 0);
    }
    char* place;
    if (const Fault fault = MakeText(call.memory, size, &place); fault != Fault::kNone) {
      nulls[row] = 1;
      call.frame->Fail(row, fault, call.where);
      return;
    }
    values[row] = {place, size};
    count = 0;
    for (const Column& part : parts) {
      if (part.IsNull(row)) continue;
      if (count++ > 0) place = std::copy(separator.begin(), separator.end(), place);
      const Text text = value(part, row);
      place = std::copy(text.begin(), text.end(), place);
    }
  });
  *out = Column();
  out->type = Type::kText;
  out->values = values;
  out->nulls = nulls;
  return Status::OK();
}

void AddTrims(std::vector<NamedKernel>* kernels) {
  const std::vector<Type> one = {Type::kText};
  const std::vector<Type> two = {Type::kText, Type::kText};
  for (const Text name : {"trim", "btrim"}) {
    kernels->push_back({name, one, &Custom<TrimSpaces<true, true>, Text, Text>});
    kernels->push_back({name, two, &Custom<Trim<true, true>, Text, Text, Text>});
  }
  kernels->push_back({"ltrim", one, &Custom<TrimSpaces<true, false>, Text, Text>});
  kernels->push_back({"ltrim", two, &Custom<Trim<true, false>, Text, Text, Text>});
  kernels->push_back({"rtrim", one, &Custom<TrimSpaces<false, true>, Text, Text>});
  kernels->push_back({"rtrim", two, &Custom<Trim<false, true>, Text, Text, Text>});
}

void AddCharacters(std::vector<NamedKernel>* kernels) {
  constexpr Type kTxt = Type::kText;
  constexpr Type kInt = Type::kInteger;
  kernels->insert(kernels->end(),
                  {{"bit_length", {kTxt}, &Custom<BitLength, int32_t, Text>},
                   {"translate", {kTxt, kTxt, kTxt}, &Custom<Translate, Text, Text, Text, Text>},
                   {"ascii", {kTxt}, &Custom<Ascii, int32_t, Text>},
                   {"chr", {kInt}, &Custom<Chr, Text, int32_t>},
                   {"to_hex", {kInt}, &Custom<ToHex<int32_t>, Text, int32_t>},
                   {"to_hex", {Type::kBigint}, &Custom<ToHex<int64_t>, Text, int64_t>},
                   {"overlay", {kTxt, kTxt, kInt}, &Custom<Overlay, Text, Text, Text, int32_t>},
                   {"overlay",
                    {kTxt, kTxt, kInt, kInt},
                    &Custom<OverlayPart, Text, Text, Text, int32_t, int32_t>}});
}

}  // namespace

std::vector<NamedKernel> TextKernels() {
  constexpr Type kTxt = Type::kText;
  constexpr Type kInt = Type::kInteger;
  std::vector<NamedKernel> kernels = {
      {"||", {kTxt, kTxt}, &Custom<Concatenate, Text, Text, Text>},
      {"lower", {kTxt}, &Custom<InCase<LetterCase::kLower>, Text, Text>},
      {"upper", {kTxt}, &Custom<InCase<LetterCase::kUpper>, Text, Text>},
      {"initcap", {kTxt}, &Custom<InCase<LetterCase::kTitle>, Text, Text>},
      {"length", {kTxt}, &Custom<Length, int32_t, Text>},
      {"char_length", {kTxt}, &Custom<Length, int32_t, Text>},
      {"character_length", {kTxt}, &Custom<Length, int32_t, Text>},
      {"octet_length", {kTxt}, &Custom<OctetLength, int32_t, Text>},
      {"substr", {kTxt, kInt}, &Custom<SubstringFrom, Text, Text, int32_t>},
      {"substring", {kTxt, kInt}, &Custom<SubstringFrom, Text, Text, int32_t>},
      {"substr", {kTxt, kInt, kInt}, &Custom<Substring, Text, Text, int32_t, int32_t>},
      {"substring", {kTxt, kInt, kInt}, &Custom<Substring, Text, Text, int32_t, int32_t>},
      {"left", {kTxt, kInt}, &Custom<Left, Text, Text, int32_t>},
      {"right", {kTxt, kInt}, &Custom<Right, Text, Text, int32_t>},
      {"replace", {kTxt, kTxt, kTxt}, &Custom<Replace, Text, Text, Text, Text>},
      {"concat", {kTxt}, &JoinAll<false>},
      {"concat_ws", {kTxt, kTxt}, &JoinAll<true>},
      {"lpad", {kTxt, kInt}, &Custom<Pad<true>, Text, Text, int32_t>},
      {"lpad", {kTxt, kInt, kTxt}, &Custom<PadWith<true>, Text, Text, int32_t, Text>},
      {"rpad", {kTxt, kInt}, &Custom<Pad<false>, Text, Text, int32_t>},
      {"rpad", {kTxt, kInt, kTxt}, &Custom<PadWith<false>, Text, Text, int32_t, Text>},
      {"repeat", {kTxt, kInt}, &Custom<Repeat, Text, Text, int32_t>},
      {"reverse", {kTxt}, &Custom<Reverse, Text, Text>},
      {"split_part", {kTxt, kTxt, kInt}, &Custom<SplitPart, Text, Text, Text, int32_t>},
  };
  AddTrims(&kernels);
  AddCharacters(&kernels);
  return kernels;
}

}  // namespace millrace
