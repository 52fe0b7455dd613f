// Reads values of a job file's YAML into C++ values, telling what was expected and what stands
// there instead. Functions return nothing (or leave their target as it is) after telling.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/diagnostics.h"
#include "engine/base/time.h"
#include "engine/model/job_file.h"
#include "engine/model/yaml_document.h"

namespace millrace {

// What reading needs everywhere. Lives as long as one ReadJobFile.
struct JobFileContext {
  const SecretLookup& secrets;
  const YamlDocument& document;
  Diagnostics* diagnostics;
  // What has been told: a mistake that several aliases lead to is told once.
  std::set<std::pair<SourcePlace, std::string>>* told;

  void Error(SourcePlace place, std::string message, std::string hint = "") const {
    if (!told->emplace(place, message).second) return;
    diagnostics->Error(place, std::move(message), std::move(hint));
  }
};

// A map with a fixed set of keys. `what` names it in messages ("a sink", "'event_time'"); `place`
// is where a missing key is told. Keys that are not known are told when it is made.
class MapFields {
 public:
  MapFields(const JobFileContext& context, const YamlNode& node, SourcePlace place,
            std::string what, std::vector<std::string> known);

  bool is_map() const { return node_.kind == YamlNode::Kind::kMap; }
  SourcePlace place() const { return place_; }
  const std::string& what() const { return what_; }
  // Null where it is absent.
  const YamlEntry* Find(std::string_view key) const;
  // Null where it is absent, which is told.
  const YamlEntry* Require(std::string_view key) const;
  // The one of `keys` that is there; told where it is none or several.
  const YamlEntry* RequireOneOf(std::span<const std::string> keys) const;

 private:
  const JobFileContext& context_;
  const YamlNode& node_;
  SourcePlace place_;
  std::string what_;
};

// Tells "expected WHAT, found ..." at the node.
void TellExpected(const JobFileContext& context, const YamlNode& node, std::string_view what);

// A text that is not empty. Numbers and booleans are taken as they are written.
std::optional<std::string> ReadText(const JobFileContext& context, const YamlNode& node,
                                    std::string_view what = "a text");
std::optional<PlacedText> ReadPlacedText(const JobFileContext& context, const YamlNode& node,
                                         std::string_view what = "a text");
// With ${env:NAME} and ${file:PATH} put in. May be empty where `may_be_empty`.
std::optional<std::string> ReadResolvedText(const JobFileContext& context, const YamlNode& node,
                                            std::string_view what, bool may_be_empty = false);

// `other`: a word that the caller takes in its place, for the message.
std::optional<int64_t> ReadInteger(const JobFileContext& context, const YamlNode& node, int64_t min,
                                   int64_t max, std::string_view other = "");
std::optional<bool> ReadBoolean(const JobFileContext& context, const YamlNode& node);
std::optional<Micros> ReadDuration(const JobFileContext& context, const YamlNode& node, Micros min,
                                   Micros max);
// "64MiB", "16KiB", "2GiB" or a plain number of bytes.
std::optional<int64_t> ReadBytes(const JobFileContext& context, const YamlNode& node, int64_t min,
                                 int64_t max);
// Index into `choices`.
std::optional<size_t> ReadChoice(const JobFileContext& context, const YamlNode& node,
                                 std::span<const std::string> choices);
// RFC 3339 with a zone.
std::optional<EventTime> ReadTimestamp(const JobFileContext& context, const YamlNode& node);

// A column or stream name as SQL folds it: [a-z_][a-z0-9_]*, at most 63. `what`: "column name".
bool CheckSqlName(const JobFileContext& context, SourcePlace place, const std::string& name,
                  std::string_view what, std::string hint = "");

// The nodes of a list that is not empty; `what`: "a list of texts".
std::span<const YamlNode* const> ReadList(const JobFileContext& context, const YamlNode& node,
                                          std::string_view what);
// The entries of a map that is not empty, with any keys; `what`: "a map of columns".
std::span<const YamlEntry> ReadMap(const JobFileContext& context, const YamlNode& node,
                                   std::string_view what);

template <typename T, typename Target>
void Assign(const std::optional<T>& value, Target* target) {
  if (value) *target = *value;
}

// NearestName and SuggestName, for texts of a file that may be of any length.
std::string Nearest(std::string_view name, std::span<const std::string> candidates);
std::string Suggest(std::string_view name, std::span<const std::string> candidates);

// "json, csv or parquet".
std::string OneOf(std::span<const std::string> names);

}  // namespace millrace
