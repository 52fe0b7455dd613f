#include "engine/state/state_key.h"

#include "engine/state/state_store.h"

namespace millrace {
namespace {

// Seeking costs as much as going to the next entry so many times. Where each time has few entries
// (sessions) it leads no further.
constexpr int kPassedBeforeSeek = 8;

constexpr uint64_t kSignBit = uint64_t(1) << 63;
constexpr size_t kCopyBatchBytes = 1 << 20;

void AppendBigEndian(uint64_t number, int bytes, std::string* text) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text->push_back(char(number >> shift));
}

uint64_t ReadBigEndian(std::string_view text) {
  uint64_t number = 0;
  for (const char byte : text) number = number << 8 | uint8_t(byte);
  return number;
}

std::string GroupBegin(uint16_t operator_number, int64_t time, KeyGroup group) {
  std::string key;
  AppendStateKey(operator_number, time, group, &key);
  return key;
}

// Writes in batches, so that neither side holds more than one of them.
class CopyTarget {
 public:
  explicit CopyTarget(StateStore* store) : store_(store) {}

  Status Put(std::string_view key, std::string_view value) {
    batch_.Put(key, value);
    return batch_.bytes() < kCopyBatchBytes ? Status::OK() : Flush();
  }

  Status Flush() {
    if (batch_.empty()) return Status::OK();
    StateBatch full;
    std::swap(full, batch_);
    return store_->Write(std::move(full));
  }

 private:
  StateStore* store_;
  StateBatch batch_;
};

}  // namespace

void AppendStateKey(uint16_t operator_number, int64_t time, KeyGroup group, std::string* key) {
  AppendBigEndian(operator_number, 2, key);
  AppendBigEndian(uint64_t(time) ^ kSignBit, 8, key);
  AppendBigEndian(uint64_t(group.value()), 2, key);
}

std::string StateTimeBegin(uint16_t operator_number, int64_t time) {
  return GroupBegin(operator_number, time, KeyGroup(0)).substr(0, 2 + 8);
}

std::string StateTimeEnd(uint16_t operator_number, int64_t time) {
  return time == INT64_MAX ? StateOperatorEnd(operator_number)
                           : StateTimeBegin(operator_number, time + 1);
}

std::string StateOperatorKey(uint16_t operator_number) {
  std::string key;
  AppendBigEndian(operator_number, 2, &key);
  return key;
}

std::string StateOperatorEnd(uint16_t operator_number) {
  // After the last operator there is none: no key group has this number, so it is above all keys.
  if (operator_number == UINT16_MAX) return std::string(kStateKeyPrefixBytes, '\xff');
  return StateOperatorKey(uint16_t(operator_number + 1));
}

Result<StateKeyParts> ParseStateKey(std::string_view key) {
  if (key.size() < kStateKeyPrefixBytes) {
    return ExternalError("state_damaged",
                         "a key of saved state has " + std::to_string(key.size()) +
                             " bytes, fewer than its prefix of " +
                             std::to_string(kStateKeyPrefixBytes),
                         Retry::kNo);
  }
  StateKeyParts parts;
  parts.operator_number = uint16_t(ReadBigEndian(key.substr(0, 2)));
  parts.time = int64_t(ReadBigEndian(key.substr(2, 8)) ^ kSignBit);
  parts.group = KeyGroup(int32_t(ReadBigEndian(key.substr(10, 2))));
  parts.rest = key.substr(kStateKeyPrefixBytes);
  return parts;
}

Status CopyKeyGroups(StateStore* from, StateStore* to, uint16_t operator_number, KeyGroup first,
                     KeyGroup last) {
  ARROW_ASSIGN_OR_RAISE(
      const std::unique_ptr<StateIterator> entries,
      from->Scan(StateTimeBegin(operator_number, INT64_MIN), StateOperatorEnd(operator_number)));
  CopyTarget target(to);
  int passed = 0;  // entries in a row that are not asked for
  while (entries->Valid()) {
    ARROW_ASSIGN_OR_RAISE(const StateKeyParts parts, ParseStateKey(entries->key()));
    const bool is_wanted = parts.group >= first && parts.group < last;
    passed = is_wanted ? 0 : passed + 1;
    if (!is_wanted && passed % kPassedBeforeSeek != 0) {
      entries->Next();
    } else if (parts.group < first) {
      entries->Seek(GroupBegin(operator_number, parts.time, first));
    } else if (parts.group >= last) {
      if (parts.time == INT64_MAX) break;
      entries->Seek(GroupBegin(operator_number, parts.time + 1, first));
    } else {
      ARROW_RETURN_NOT_OK(target.Put(entries->key(), entries->value()));
      entries->Next();
    }
  }
  ARROW_RETURN_NOT_OK(entries->status());
  return target.Flush();
}

}  // namespace millrace
