#include "engine/model/job_fields.h"

#include <arrow/util/value_parsing.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace millrace {
namespace {

constexpr size_t kSqlNameBytesMax = 63;
// Of streams, columns, alerts, sinks, ...
constexpr size_t kItemsMax = 2000;
// No suggestion for what is longer than any name.
constexpr size_t kSuggestBytesMax = 128;

// Of the language, but not of this version.
constexpr std::array<std::string_view, 6> kLater = {"alertmanager",    "for",        "generate",
                                                    "keep_firing_for", "live_table", "prometheus"};

bool IsLater(std::string_view key) {
  return std::find(kLater.begin(), kLater.end(), key) != kLater.end();
}

// `placed` with its ${...} put in; nothing where one of them cannot be.
std::optional<std::string> Resolve(const JobFileContext& context, const PlacedText& placed) {
  const std::string& text = placed.text;
  std::string resolved;
  bool good = true;
  size_t at = 0;
  while (true) {
    const size_t begin = text.find("${", at);
    if (begin == std::string::npos) break;
    resolved.append(text, at, begin - at);
    const size_t end = text.find('}', begin);
    const SourcePlace place = placed.PlaceAt(begin);
    if (end == std::string::npos) {
      context.Error(place, "'${' without '}'");
      return std::nullopt;
    }
    const std::string inside = text.substr(begin + 2, end - begin - 2);
    const size_t colon = std::min(inside.find(':'), inside.size());
    const std::string kind = inside.substr(0, colon);
    const std::string name = inside.substr(std::min(colon + 1, inside.size()));
    std::optional<std::string> value;
    if ((kind != "env" && kind != "file") || name.empty()) {
      context.Error(place, Quoted("${" + inside + "}") + " is not known",
                    "expected ${env:NAME} or ${file:PATH}");
    } else if (kind == "env") {
      value = context.secrets.env(name);
      if (!value) context.Error(place, "the environment variable " + Quoted(name) + " is not set");
    } else {
      value = context.secrets.file(name);
      if (!value) context.Error(place, "the file " + Quoted(name) + " cannot be read");
    }
    good = good && value.has_value();
    resolved += value.value_or("");
    at = end + 1;
  }
  resolved.append(text, at);
  if (!good) return std::nullopt;
  return resolved;
}

template <typename Number>
bool ParseWhole(std::string_view text, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string FormatBytes(int64_t bytes) {
  constexpr std::array<std::string_view, 4> kUnits = {"", "KiB", "MiB", "GiB"};
  size_t unit = 0;
  while (unit + 1 < kUnits.size() && bytes >= 1024 && bytes % 1024 == 0) {
    bytes /= 1024;
    ++unit;
  }
  return std::to_string(bytes) + std::string(kUnits[unit]);
}

}  // namespace

std::string Nearest(std::string_view name, std::span<const std::string> candidates) {
  return name.size() > kSuggestBytesMax ? "" : NearestName(name, candidates);
}

std::string Suggest(std::string_view name, std::span<const std::string> candidates) {
  return name.size() > kSuggestBytesMax ? "" : SuggestName(name, candidates);
}

std::string OneOf(std::span<const std::string> names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

MapFields::MapFields(const JobFileContext& context, const YamlNode& node, SourcePlace place,
                     std::string what, std::vector<std::string> known)
    : context_(context), node_(node), place_(place), what_(std::move(what)) {
  if (!is_map()) {
    context.Error(node.place, "expected a map for " + what_ + ", found " + Found(node),
                  "keys: " + OneOf(known));
    return;
  }
  for (const YamlEntry& entry : node.entries) {
    if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
    if (IsLater(entry.key)) {
      context.Error(entry.place, "'" + entry.key + "' is not supported by this version");
    } else {
      context.Error(entry.place, "unknown key " + Quoted(entry.key) + " in " + what_,
                    Suggest(entry.key, known));
    }
  }
}

const YamlEntry* MapFields::Find(std::string_view key) const { return node_.Find(key); }

const YamlEntry* MapFields::Require(std::string_view key) const {
  const YamlEntry* entry = Find(key);
  if (entry == nullptr && is_map()) {
    context_.Error(place_, "'" + std::string(key) + "' is missing in " + what_);
  }
  return entry;
}

const YamlEntry* MapFields::RequireOneOf(std::span<const std::string> keys) const {
  const YamlEntry* first = nullptr;
  bool several = false;
  for (const YamlEntry& entry : node_.entries) {
    if (std::find(keys.begin(), keys.end(), entry.key) == keys.end()) continue;
    if (first == nullptr) {
      first = &entry;
      continue;
    }
    context_.Error(entry.place, what_ + " has one of " + OneOf(keys) + ", found '" + entry.key +
                                    "' after '" + first->key + "'");
    several = true;
  }
  // A key of a later version has been told; what it stands for is not missing.
  const bool has_later = std::any_of(node_.entries.begin(), node_.entries.end(),
                                     [](const YamlEntry& entry) { return IsLater(entry.key); });
  if (first == nullptr && is_map() && !has_later) {
    context_.Error(place_, what_ + " needs one of " + OneOf(keys));
  }
  return several ? nullptr : first;
}

void TellExpected(const JobFileContext& context, const YamlNode& node, std::string_view what) {
  context.Error(node.place, "expected " + std::string(what) + ", found " + Found(node));
}

std::optional<std::string> ReadText(const JobFileContext& context, const YamlNode& node,
                                    std::string_view what) {
  if (node.kind == YamlNode::Kind::kText && !node.text.empty()) return node.text;
  TellExpected(context, node, what);
  return std::nullopt;
}

std::optional<PlacedText> ReadPlacedText(const JobFileContext& context, const YamlNode& node,
                                         std::string_view what) {
  if (!ReadText(context, node, what)) return std::nullopt;
  return context.document.Placed(node);
}

std::optional<std::string> ReadResolvedText(const JobFileContext& context, const YamlNode& node,
                                            std::string_view what, bool may_be_empty) {
  if (node.kind != YamlNode::Kind::kText || (node.text.empty() && !may_be_empty)) {
    TellExpected(context, node, what);
    return std::nullopt;
  }
  if (node.text.find("${") == std::string::npos) return node.text;
  return Resolve(context, context.document.Placed(node));
}

std::optional<int64_t> ReadInteger(const JobFileContext& context, const YamlNode& node, int64_t min,
                                   int64_t max, std::string_view other) {
  int64_t number = 0;
  if (node.kind == YamlNode::Kind::kText && ParseWhole(node.text, &number) && number >= min &&
      number <= max) {
    return number;
  }
  const std::string before = other.empty() ? "" : std::string(other) + " or ";
  TellExpected(
      context, node,
      before + "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  return std::nullopt;
}

std::optional<bool> ReadBoolean(const JobFileContext& context, const YamlNode& node) {
  if (node.kind == YamlNode::Kind::kText) {
    if (node.text == "true") return true;
    if (node.text == "false") return false;
  }
  TellExpected(context, node, "true or false");
  return std::nullopt;
}

std::optional<Micros> ReadDuration(const JobFileContext& context, const YamlNode& node, Micros min,
                                   Micros max) {
  if (node.kind != YamlNode::Kind::kText) {
    TellExpected(context, node, "a duration such as 30s");
    return std::nullopt;
  }
  const Result<Micros> duration = ParseDuration(node.text);
  if (!duration.ok()) {
    context.Error(node.place, Quoted(node.text) + " is not a duration",
                  "expected a number and a unit, such as 250ms, 30s, 10m, 2h or 1d");
    return std::nullopt;
  }
  if (*duration < min || *duration > max) {
    TellExpected(context, node,
                 "a duration from " + FormatDuration(min) + " to " + FormatDuration(max));
    return std::nullopt;
  }
  return *duration;
}

std::optional<int64_t> ReadBytes(const JobFileContext& context, const YamlNode& node, int64_t min,
                                 int64_t max) {
  static const std::vector<std::pair<std::string_view, int64_t>> units = {
      {"KiB", int64_t{1} << 10}, {"MiB", int64_t{1} << 20}, {"GiB", int64_t{1} << 30}};
  std::string_view text = node.text;
  int64_t unit = 1;
  for (const auto& [name, bytes] : units) {
    if (!text.ends_with(name)) continue;
    text.remove_suffix(name.size());
    unit = bytes;
    break;
  }
  int64_t number = 0;
  if (node.kind != YamlNode::Kind::kText || !ParseWhole(text, &number) ||
      __builtin_mul_overflow(number, unit, &number) || number < min || number > max) {
    TellExpected(context, node,
                 "a size from " + FormatBytes(min) + " to " + FormatBytes(max) +
                     ", in bytes or with KiB, MiB or GiB");
    return std::nullopt;
  }
  return number;
}

std::optional<size_t> ReadChoice(const JobFileContext& context, const YamlNode& node,
                                 std::span<const std::string> choices) {
  if (node.kind == YamlNode::Kind::kText) {
    const auto found = std::find(choices.begin(), choices.end(), node.text);
    if (found != choices.end()) return size_t(found - choices.begin());
  }
  const std::string nearest = node.kind == YamlNode::Kind::kText ? Nearest(node.text, choices) : "";
  context.Error(node.place, "expected " + OneOf(choices) + ", found " + Found(node),
                nearest.empty() ? "" : "did you mean '" + nearest + "'?");
  return std::nullopt;
}

std::optional<EventTime> ReadTimestamp(const JobFileContext& context, const YamlNode& node) {
  static const std::shared_ptr<arrow::TimestampParser> parser =
      arrow::TimestampParser::MakeISO8601();
  int64_t micros = 0;
  bool has_zone = false;
  if (node.kind != YamlNode::Kind::kText ||
      !(*parser)(node.text.data(), node.text.size(), arrow::TimeUnit::MICRO, &micros, &has_zone) ||
      !has_zone) {
    TellExpected(context, node, "a time with its zone such as 2026-01-31T12:00:00Z");
    return std::nullopt;
  }
  return EventTime(Micros(micros));
}

bool CheckSqlName(const JobFileContext& context, SourcePlace place, const std::string& name,
                  std::string_view what, std::string hint) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  const auto is_part = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); };
  if (!name.empty() && name.size() <= kSqlNameBytesMax && is_letter(name[0]) &&
      std::all_of(name.begin(), name.end(), is_part)) {
    return true;
  }
  context.Error(place,
                Quoted(name) + " is not a " + std::string(what) +
                    ": lower case letters, digits and '_', no digit first, at most 63 (SQL folds "
                    "unquoted names to lower case)",
                std::move(hint));
  return false;
}

std::span<const YamlNode* const> ReadList(const JobFileContext& context, const YamlNode& node,
                                          std::string_view what) {
  if (node.kind == YamlNode::Kind::kList && !node.items.empty()) {
    if (node.items.size() <= kItemsMax) return node.items;
    context.Error(node.place, "a list has at most " + std::to_string(kItemsMax) + " items, found " +
                                  std::to_string(node.items.size()));
    return {};
  }
  context.Error(node.place,
                "expected " + std::string(what) + ", found " +
                    (node.kind == YamlNode::Kind::kList ? "an empty list" : Found(node)));
  return {};
}

std::span<const YamlEntry> ReadMap(const JobFileContext& context, const YamlNode& node,
                                   std::string_view what) {
  if (node.kind == YamlNode::Kind::kMap && !node.entries.empty()) {
    if (node.entries.size() <= kItemsMax) return node.entries;
    context.Error(node.place, "a map has at most " + std::to_string(kItemsMax) + " keys, found " +
                                  std::to_string(node.entries.size()));
    return {};
  }
  context.Error(node.place, "expected " + std::string(what) + ", found " +
                                (node.kind == YamlNode::Kind::kMap ? "an empty map" : Found(node)));
  return {};
}

}  // namespace millrace
