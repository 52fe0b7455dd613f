// A YAML document as a tree that knows the place of every key and value, keeps the order of keys,
// and has told repeated keys, unknown tags and whatever else is wrong with it as YAML. Built from
// yaml-cpp's events, because its own nodes drop repeated keys and places inside scalars.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/diagnostics.h"
#include "engine/model/scalar_place.h"

namespace millrace {

struct YamlNode;

struct YamlEntry {
  std::string key;
  SourcePlace place;  // of the key
  const YamlNode* value = nullptr;
};

struct YamlNode {
  enum class Kind { kNull, kText, kList, kMap };
  Kind kind = Kind::kNull;
  // An empty value has its key's place.
  SourcePlace place;
  std::string text;                    // kText
  size_t offset = 0;                   // kText: where it begins in the file
  std::vector<const YamlNode*> items;  // kList
  std::vector<YamlEntry> entries;      // kMap: in the file's order, then what `<<` brings in
  size_t weight = 1;                   // bytes of all texts below it, aliases expanded
  bool complete = false;               // false while it is being read

  const YamlEntry* Find(std::string_view key) const;
};

// 'text' on one line, cut where it is long.
std::string Quoted(std::string_view text);

// "a map", "a list", "'12'", "nothing": what stands where something else was expected.
std::string Found(const YamlNode& node);

class YamlDocument {
 public:
  static constexpr size_t kBytesMax = 1 << 20;
  static constexpr int kDepthMax = 64;
  // Aliases may not make more of a file than this.
  static constexpr size_t kWeightMax = 8 << 20;

  // Reads diagnostics->text(), which must outlive the document. Null root where the text is no
  // YAML at all (told). Never throws.
  explicit YamlDocument(Diagnostics* diagnostics);
  YamlDocument(const YamlDocument&) = delete;
  YamlDocument& operator=(const YamlDocument&) = delete;

  const YamlNode* root() const { return root_; }
  // A text with the places of its characters.
  PlacedText Placed(const YamlNode& node) const;

 private:
  class Builder;

  FileText file_;
  std::deque<YamlNode> nodes_;
  const YamlNode* root_ = nullptr;
};

}  // namespace millrace
