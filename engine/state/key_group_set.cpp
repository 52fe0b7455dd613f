#include "engine/state/key_group_set.h"

#include <algorithm>
#include <charconv>

namespace millrace {
namespace {

// Takes a number from the front of `text`; -1 where there is none that is a key group.
int32_t TakeGroup(std::string_view* text) {
  int32_t group = -1;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), group);
  if (error != std::errc() || group < 0 || group >= kKeyGroupCount) return -1;
  text->remove_prefix(size_t(end - text->data()));
  return group;
}

bool TakeCharacter(char wanted, std::string_view* text) {
  if (text->empty() || text->front() != wanted) return false;
  text->remove_prefix(1);
  return true;
}

}  // namespace

KeyGroupSet KeyGroupSet::Range(int32_t first, int32_t last) {
  KeyGroupSet set;
  for (int32_t group = first; group < last; ++group) set.groups_.set(size_t(group));
  return set;
}

KeyGroupSet KeyGroupSet::OfTask(int32_t index, int32_t parallelism) {
  KeyGroupSet set;
  for (int32_t group = 0; group < kKeyGroupCount; ++group) {
    if (TaskOf(KeyGroup(group), parallelism).value() == index) set.groups_.set(size_t(group));
  }
  return set;
}

KeyGroup KeyGroupSet::FirstFrom(KeyGroup group) const {
  int32_t found = std::max(group.value(), 0);
  while (found < kKeyGroupCount && !groups_[size_t(found)]) ++found;
  return KeyGroup(std::min(found, kKeyGroupCount));
}

KeyGroupSet& KeyGroupSet::operator|=(const KeyGroupSet& other) {
  groups_ |= other.groups_;
  return *this;
}

KeyGroupSet operator&(const KeyGroupSet& left, const KeyGroupSet& right) {
  KeyGroupSet both = left;
  both.groups_ &= right.groups_;
  return both;
}

std::string KeyGroupSet::ToString() const {
  std::string text;
  for (KeyGroup first = FirstFrom(KeyGroup(0)); first.value() < kKeyGroupCount;) {
    int32_t last = first.value();
    while (Contains(KeyGroup(last + 1))) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(first.value()) + '-' + std::to_string(last);
    first = FirstFrom(KeyGroup(last + 1));
  }
  return text;
}

Result<KeyGroupSet> KeyGroupSet::Parse(std::string_view text) {
  KeyGroupSet set;
  std::string_view rest = text;
  while (!rest.empty()) {
    const int32_t first = TakeGroup(&rest);
    const bool joined = TakeCharacter('-', &rest);
    const int32_t last = TakeGroup(&rest);
    if (first < 0 || !joined || last < first ||
        !(rest.empty() || (TakeCharacter(',', &rest) && !rest.empty()))) {
      return ExternalError("state_damaged",
                           "'" + std::string(text) + "' is no list of key groups as 0-179,240-240",
                           Retry::kNo);
    }
    set |= Range(first, last + 1);
  }
  return set;
}

}  // namespace millrace
