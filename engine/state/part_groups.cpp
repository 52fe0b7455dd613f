#include "engine/state/part_groups.h"

#include <charconv>

#include "engine/state/state_key.h"

namespace millrace {
namespace {

constexpr std::string_view kHead = "format 1\n";
constexpr std::string_view kOwn = "own ";
constexpr std::string_view kHeld = "held ";
// Seeking costs as much as going to the next entry so many times.
constexpr int kPassedBeforeSeek = 8;

// The rest of a line that begins with `name`; goes past it. False where there is none.
bool TakeLine(std::string_view name, std::string_view* text, std::string_view* rest) {
  const size_t end = text->find('\n');
  if (!text->starts_with(name) || end == std::string_view::npos) return false;
  *rest = text->substr(name.size(), end - name.size());
  text->remove_prefix(end + 1);
  return true;
}

Status Damaged(std::string_view what) {
  return ExternalError(
      "state_damaged",
      "the file " + std::string(PartGroups::kFileName) + " of saved state " + std::string(what),
      Retry::kNo);
}

class GroupIterator final : public StateIterator {
 public:
  GroupIterator(std::unique_ptr<StateIterator> all, KeyGroupSet own)
      : all_(std::move(all)), own_(own) {
    Settle();
  }

  bool Valid() const override { return failure_.ok() && all_->Valid(); }
  std::string_view key() const override { return all_->key(); }
  std::string_view value() const override { return all_->value(); }
  void Next() override {
    all_->Next();
    Settle();
  }
  void Seek(std::string_view key) override {
    all_->Seek(key);
    Settle();
  }
  Status status() const override { return failure_.ok() ? all_->status() : failure_; }

 private:
  void Settle() {
    for (int passed = 1; all_->Valid() && !IsOfGroups(all_->key(), own_); ++passed) {
      if (passed % kPassedBeforeSeek == 0) {
        SeekPast();
      } else {
        all_->Next();
      }
    }
  }

  // To where the next entry of a group of its own may be.
  void SeekPast() {
    const Result<StateKeyParts> parts = ParseStateKey(all_->key());
    if (!parts.ok()) {
      failure_ = parts.status();
      return;
    }
    int64_t time = parts->time;
    KeyGroup group = own_.FirstFrom(parts->group);
    if (group.value() == kKeyGroupCount) {
      if (time == INT64_MAX || own_.empty()) {
        all_->Seek(StateOperatorEnd(parts->operator_number));
        return;
      }
      ++time;
      group = own_.FirstFrom(KeyGroup(0));
    }
    std::string key;
    AppendStateKey(parts->operator_number, time, group, &key);
    all_->Seek(key);
  }

  std::unique_ptr<StateIterator> all_;
  const KeyGroupSet own_;
  Status failure_;
};

}  // namespace

std::string PartGroups::Encode() const {
  return std::string(kHead) + std::string(kOwn) + own.ToString() + "\n" + std::string(kHeld) +
         std::to_string(held) + "\n";
}

Result<PartGroups> PartGroups::Decode(std::string_view bytes) {
  if (bytes.starts_with("format ") && !bytes.starts_with(kHead)) {
    return ExternalError(
        "state_version",
        "the file " + std::string(kFileName) +
            " of saved state has a format that this build does not know (it knows 1)",
        Retry::kNo);
  }
  std::string_view head, groups, count;
  if (!TakeLine("format ", &bytes, &head) || !TakeLine(kOwn, &bytes, &groups) ||
      !TakeLine(kHeld, &bytes, &count) || !bytes.empty()) {
    return Damaged("is not whole");
  }
  PartGroups part;
  ARROW_ASSIGN_OR_RAISE(part.own, KeyGroupSet::Parse(groups));
  const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), part.held);
  if (error != std::errc() || end != count.data() + count.size() || part.own.empty() ||
      part.held < part.own.count() || part.held > kKeyGroupCount) {
    return Damaged("says that entries of " + std::string(count) + " key groups are held, and " +
                   std::to_string(part.own.count()) + " are its own");
  }
  return part;
}

bool IsOfGroups(std::string_view key, const KeyGroupSet& own) {
  return IsOperatorKey(key) || own.Contains(GroupOfStateKey(key));
}

std::unique_ptr<StateIterator> OnlyGroups(std::unique_ptr<StateIterator> all, KeyGroupSet own) {
  return std::make_unique<GroupIterator>(std::move(all), own);
}

}  // namespace millrace
