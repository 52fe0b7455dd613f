#include "engine/model/json_path.h"

namespace millrace {
namespace {

bool IsNameByte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || c == '_' || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
         (byte >= 'A' && byte <= 'Z');
}

class PathReader {
 public:
  explicit PathReader(std::string_view path) : path_(path) {}

  std::vector<JsonPathStep> Read(std::string* error) {
    std::vector<JsonPathStep> steps;
    for (at_ = 1; at_ < path_.size() && error_.empty();) {
      steps.emplace_back();
      if (path_[at_] == '.') {
        ++at_;
        ReadName(&steps.back());
      } else if (path_[at_] == '[') {
        ++at_;
        ReadBrackets(&steps.back());
      } else {
        Fail("expected '.' or '['");
      }
    }
    if (steps.size() > kJsonPathStepsMax && error_.empty()) {
      error_ = "a path has at most " + std::to_string(kJsonPathStepsMax) + " steps";
    }
    *error = error_;
    return steps;
  }

 private:
  void Fail(const std::string& what) {
    error_ = what + " at character " + std::to_string(at_ + 1) + " of the path";
  }

  void ReadName(JsonPathStep* step) {
    const size_t begin = at_;
    while (at_ < path_.size() && IsNameByte(path_[at_])) ++at_;
    step->key = path_.substr(begin, at_ - begin);
    if (step->key.empty()) Fail("expected a name");
  }

  void ReadBrackets(JsonPathStep* step) {
    const char first = at_ < path_.size() ? path_[at_] : '\0';
    if (first == '\'' || first == '"') {
      ++at_;
      ReadQuoted(first, step);
    } else {
      ReadItem(step);
    }
    if (!error_.empty()) return;
    if (at_ == path_.size() || path_[at_] != ']') return Fail("expected ']'");
    ++at_;
  }

  void ReadQuoted(char quote, JsonPathStep* step) {
    for (; at_ < path_.size() && path_[at_] != quote; ++at_) {
      if (path_[at_] == '\\') ++at_;
      if (at_ < path_.size()) step->key += path_[at_];
    }
    if (at_ >= path_.size()) {
      at_ = path_.size();
      return Fail("expected a closing quote");
    }
    ++at_;
  }

  void ReadItem(JsonPathStep* step) {
    const size_t begin = at_;
    int64_t item = 0;
    for (; at_ < path_.size() && path_[at_] >= '0' && path_[at_] <= '9'; ++at_) {
      item = item * 10 + (path_[at_] - '0');
      if (item > kJsonPathItemMax) {
        return Fail("an item's index is at most " + std::to_string(kJsonPathItemMax) + ";");
      }
    }
    if (at_ == begin) return Fail("expected the index of an item or a name in quotes");
    step->item = item;
  }

  std::string_view path_;
  size_t at_ = 0;
  std::string error_;
};

}  // namespace

bool IsJsonPath(std::string_view from) { return from.starts_with("$.") || from.starts_with("$["); }

std::vector<JsonPathStep> ParseJsonPath(std::string_view from, std::string* error) {
  error->clear();
  if (!IsJsonPath(from)) return {{.key = std::string(from)}};
  return PathReader(from).Read(error);
}

}  // namespace millrace
