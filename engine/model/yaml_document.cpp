#include "engine/model/yaml_document.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <unordered_map>

namespace millrace {
namespace {

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";
constexpr std::string_view kMergeKey = "<<";

// The byte where `text` stops being UTF-8 text that YAML allows, or npos.
size_t FirstBadByte(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      if ((lead < 0x20 && lead != '\t' && lead != '\n' && lead != '\r') || lead == 0x7F) return i;
      ++i;
      continue;
    }
    const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || i + size > text.size()) return i;
    uint32_t point = lead & (0x7F >> size);
    for (size_t k = 1; k < size; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if ((byte & 0xC0) != 0x80) return i;
      point = point << 6 | (byte & 0x3F);
    }
    const bool overlong = (size == 3 && point < 0x800) || (size == 4 && point < 0x10000);
    if (overlong || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return i;
    i += size;
  }
  return std::string_view::npos;
}

// True also for what is not quoted.
bool HasClosingQuote(std::string_view file, size_t offset) {
  const char quote = offset < file.size() ? file[offset] : '\0';
  if (quote != '"' && quote != '\'') return true;
  for (size_t i = offset + 1; i < file.size(); ++i) {
    if (quote == '"' && file[i] == '\\') {
      ++i;
    } else if (file[i] == quote) {
      if (quote == '"' || i + 1 >= file.size() || file[i + 1] != quote) return true;
      ++i;
    }
  }
  return false;
}

// Where the '-' of an empty list item stands, for a mark at whatever follows it: the nearest line
// above (or the mark's own, up to it) that is not blank and no comment. `offset` where it is none.
size_t DashBefore(std::string_view file, size_t offset) {
  size_t end = offset;
  while (true) {
    const size_t line_end = end == 0 ? std::string_view::npos : file.rfind('\n', end - 1);
    const size_t begin = line_end == std::string_view::npos ? 0 : line_end + 1;
    const std::string_view line = file.substr(begin, end - begin);
    const size_t first = line.find_first_not_of(" \t\r");
    if (first != std::string_view::npos && line[first] != '#') {
      const size_t dashes_end = line.find_first_not_of("- \t\r", first);
      const size_t dash = line.substr(0, dashes_end).rfind('-');
      return dash == std::string_view::npos ? offset : begin + dash;
    }
    if (begin == 0) return offset;
    end = begin - 1;
  }
}

bool IsIndentedByTabs(std::string_view line) {
  return line.substr(0, line.find_first_not_of(" \t")).find('\t') != std::string_view::npos;
}

// What yaml-cpp's shorter messages mean for a person. `line`: where it stumbled.
std::string SyntaxHint(std::string_view message, std::string_view line) {
  if (IsIndentedByTabs(line)) return "indent with spaces, not with tabs";
  if (message == YAML::ErrorMsg::MAP_VALUE) return "a value with ': ' in it must be quoted";
  if (message == YAML::ErrorMsg::END_OF_MAP || message == YAML::ErrorMsg::END_OF_SEQ) {
    return "check the indentation";
  }
  if (message == YAML::ErrorMsg::END_OF_MAP_FLOW) return "a '}' is missing";
  if (message == YAML::ErrorMsg::END_OF_SEQ_FLOW) return "a ']' is missing";
  if (message == YAML::ErrorMsg::EOF_IN_SCALAR) return "the closing quote is missing";
  return "";
}

}  // namespace

class YamlDocument::Builder : public YAML::EventHandler {
 public:
  Builder(YamlDocument* document, Diagnostics* diagnostics)
      : document_(document), diagnostics_(diagnostics) {}

  bool too_deep() const { return too_deep_; }
  const YamlNode* root() const { return root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    YamlNode* node = Make(YamlNode::Kind::kNull, OffsetOf(mark), anchor);
    node->complete = true;
    Add(node);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    const SourcePlace place = document_->file_.PlaceOf(OffsetOf(mark));
    if (found == anchors_.end() || !found->second->complete) {
      diagnostics_->Error(place, "an alias cannot stand inside what it names");
    } else if ((weight_ += found->second->weight) > kWeightMax) {
      if (!too_heavy_) {
        diagnostics_->Error(place, "aliases make more than " + std::to_string(kWeightMax >> 20) +
                                       " MiB of this file");
      }
      too_heavy_ = true;
    } else {
      Add(found->second);
      return;
    }
    OnNull(mark, 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode* node = Make(YamlNode::Kind::kText, OffsetOf(mark), anchor);
    CheckTag(tag, mark);
    CheckClosed(*node);
    node->text = value;
    node->weight += value.size();
    node->complete = true;
    Add(node);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override {
    Merge(open_.back().node);
    Close();
  }

 private:
  struct OpenNode {
    YamlNode* node = nullptr;
    bool has_key = false;  // kMap: the next value belongs to entries.back()
    bool drop = false;     // kMap: that value's key is wrong or repeated
    YamlEntry key;
    std::unordered_map<std::string, int> lines;  // kMap: of its keys
    const YamlNode* merged = nullptr;            // kMap: the value of `<<`
    SourcePlace merge_place;
  };

  size_t OffsetOf(const YAML::Mark& mark) const {
    return document_->file_.OffsetOf(mark.line, mark.column);
  }

  YamlNode* Make(YamlNode::Kind kind, size_t offset, YAML::anchor_t anchor) {
    YamlNode* node = &document_->nodes_.emplace_back();
    node->kind = kind;
    node->offset = SkipNodeProperties(document_->file_.text(), offset);
    node->place = document_->file_.PlaceOf(node->offset);
    if (anchor != 0) anchors_[anchor] = node;
    return node;
  }

  // yaml-cpp takes the end of the file for a closing quote.
  void CheckClosed(const YamlNode& node) {
    if (!HasClosingQuote(document_->file_.text(), node.offset)) {
      diagnostics_->Error(node.place, "not valid YAML: the closing quote is missing");
    }
  }

  void CheckTag(const std::string& tag, const YAML::Mark& mark) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    static const std::vector<std::string> known = {"str",  "int", "float", "bool",
                                                   "null", "map", "seq"};
    if (tag.starts_with(kTagPrefix) &&
        std::find(known.begin(), known.end(), tag.substr(kTagPrefix.size())) != known.end()) {
      return;
    }
    diagnostics_->Error(document_->file_.PlaceOf(OffsetOf(mark)),
                        "the tag " + Quoted(tag) + " is not supported");
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    YamlNode* node = Make(kind, OffsetOf(mark), anchor);
    CheckTag(tag, mark);
    OpenNode open;
    open.node = node;
    open_.push_back(std::move(open));
    if (open_.size() > size_t(kDepthMax) && !too_deep_) {
      too_deep_ = true;
      diagnostics_->Error(node->place,
                          "nested deeper than " + std::to_string(kDepthMax) + " levels");
    }
  }

  void Close() {
    YamlNode* node = open_.back().node;
    open_.pop_back();
    node->complete = true;
    Add(node);
  }

  // A finished node goes to what it stands in: as an item, a key or a value.
  void Add(const YamlNode* node) {
    if (open_.empty()) {
      root_ = node;
      return;
    }
    OpenNode& open = open_.back();
    open.node->weight += node->weight;
    if (open.node->kind == YamlNode::Kind::kList) {
      open.node->items.push_back(Item(node));
    } else if (!open.has_key) {
      AddKey(&open, *node);
    } else {
      AddValue(&open, node);
    }
  }

  // yaml-cpp places an empty value at whatever follows it.
  const YamlNode* Item(const YamlNode* node) {
    const std::string_view rest = document_->file_.text().substr(node->offset);
    const bool is_written = rest.starts_with('~') || rest.starts_with('n') || rest.starts_with('N');
    if (node->kind != YamlNode::Kind::kNull || is_written) return node;
    return Moved(*node,
                 document_->file_.PlaceOf(DashBefore(document_->file_.text(), node->offset)));
  }

  const YamlNode* Moved(const YamlNode& node, SourcePlace place) {
    YamlNode* moved = &document_->nodes_.emplace_back(node);
    moved->place = place;
    return moved;
  }

  void AddKey(OpenNode* open, const YamlNode& node) {
    open->has_key = true;
    open->drop = false;
    open->key = {node.text, node.place, nullptr};
    if (node.kind != YamlNode::Kind::kText) {
      diagnostics_->Error(node.place, "expected a text as key, found " + Found(node));
      open->drop = true;
      return;
    }
    const auto [first, inserted] = open->lines.emplace(node.text, node.place.line);
    if (inserted) return;
    diagnostics_->Error(node.place, Quoted(node.text) + " is given twice; first on line " +
                                        std::to_string(first->second));
    open->drop = true;
  }

  void AddValue(OpenNode* open, const YamlNode* node) {
    open->has_key = false;
    if (open->drop) return;
    if (node->kind == YamlNode::Kind::kNull) node = Moved(*node, open->key.place);
    open->key.value = node;
    if (open->key.key == kMergeKey) {
      open->merged = node;
      open->merge_place = open->key.place;
      return;
    }
    open->node->entries.push_back(std::move(open->key));
  }

  // `<<: *other` and `<<: [*one, *two]`: keys that the map does not have itself.
  void Merge(YamlNode* node) {
    OpenNode& open = open_.back();
    if (open.merged == nullptr) return;
    std::vector<const YamlNode*> sources = open.merged->items;
    if (open.merged->kind == YamlNode::Kind::kMap) sources = {open.merged};
    const auto is_map = [](const YamlNode* source) { return source->kind == YamlNode::Kind::kMap; };
    if (sources.empty() || !std::all_of(sources.begin(), sources.end(), is_map)) {
      diagnostics_->Error(open.merge_place, "'<<' takes a map or a list of maps");
      return;
    }
    for (const YamlNode* source : sources) {
      for (const YamlEntry& entry : source->entries) {
        if (open.lines.emplace(entry.key, entry.place.line).second) node->entries.push_back(entry);
      }
    }
  }

  YamlDocument* document_;
  Diagnostics* diagnostics_;
  std::vector<OpenNode> open_;
  std::unordered_map<YAML::anchor_t, const YamlNode*> anchors_;
  const YamlNode* root_ = nullptr;
  size_t weight_ = 0;
  bool too_deep_ = false;
  bool too_heavy_ = false;
};

const YamlEntry* YamlNode::Find(std::string_view key) const {
  for (const YamlEntry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

std::string Quoted(std::string_view text) {
  constexpr size_t kShownBytesMax = 80;
  std::string shown = "'";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (shown.size() > kShownBytesMax && (byte & 0xC0) != 0x80) return shown + "...'";
    shown += byte < 0x20 ? ' ' : c;
  }
  return shown + "'";
}

std::string Found(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
    case YamlNode::Kind::kText:
      break;
  }
  if (node.text.empty()) return "an empty text";
  return Quoted(node.text);
}

YamlDocument::YamlDocument(Diagnostics* diagnostics) : file_(diagnostics->text()) {
  const std::string& text = diagnostics->text();
  if (text.size() > kBytesMax) {
    diagnostics->Error(
        {}, "the file has " + std::to_string(text.size()) + " bytes; at most 1 MiB is read");
    return;
  }
  if (const size_t bad = FirstBadByte(text); bad != std::string_view::npos) {
    diagnostics->Error(file_.PlaceOf(bad), "expected UTF-8 text without control characters");
    return;
  }
  Builder builder(this, diagnostics);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder) || builder.root() == nullptr) {
      diagnostics->Error({}, "the file is empty");
      return;
    }
    const YamlNode* first = builder.root();
    if (parser.HandleNextDocument(builder)) {
      diagnostics->Error(builder.root()->place, "a job file holds one document, found another");
    }
    if (!builder.too_deep()) root_ = first;
  } catch (const YAML::DeepRecursion&) {
    // Far below the limit that the builder has told.
  } catch (const YAML::Exception& error) {
    const size_t offset = file_.OffsetOf(error.mark.line, error.mark.column);
    const size_t line = file_.OffsetOf(error.mark.line, 0);
    diagnostics->Error(error.mark.is_null() ? SourcePlace{} : file_.PlaceOf(offset),
                       "not valid YAML: " + error.msg,
                       SyntaxHint(error.msg, std::string_view(text).substr(line, offset - line)));
  } catch (const std::exception& error) {
    diagnostics->Error({}, std::string("not valid YAML: ") + error.what());
  }
}

PlacedText YamlDocument::Placed(const YamlNode& node) const {
  return PlaceScalar(file_, node.offset, node.text);
}

}  // namespace millrace
