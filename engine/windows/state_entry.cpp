#include "engine/windows/state_entry.h"

#include <xxhash.h>

#include "engine/state/state_key.h"
#include "engine/windows/key_table.h"
#include "engine/windows/state_bytes.h"

namespace millrace {
namespace {

constexpr uint8_t kFormatVersion = 3;
constexpr size_t kPartBytes = 4 + 4;
constexpr size_t kCheckBytes = 4;
constexpr size_t kOperatorBytes = 2;
constexpr size_t kTimeEnd = kOperatorBytes + 8;

void AppendBig(uint32_t number, std::string* key) {
  for (int shift = 24; shift >= 0; shift -= 8) key->push_back(char(number >> shift));
}

uint32_t ReadBig(std::string_view bytes) {
  uint32_t number = 0;
  for (size_t i = 0; i < 4; ++i) number = number << 8 | uint8_t(bytes[i]);
  return number;
}

// Without the operator's number: a job that is edited may give the operator another.
uint32_t CheckOf(std::string_view key, std::string_view value) {
  key.remove_prefix(kOperatorBytes);
  const uint64_t of_key = XXH3_64bits(key.data(), key.size());
  return uint32_t(XXH3_64bits_withSeed(value.data(), value.size(), of_key));
}

}  // namespace

Status StateDamaged(std::string_view what) {
  return ExternalError("state_damaged", "saved window state is damaged: " + std::string(what),
                       Retry::kNo);
}

void AppendEntryPart(uint32_t chunk, uint32_t part, std::string* key) {
  AppendBig(chunk, key);
  AppendBig(part, key);
}

std::string EntriesEnd(std::string first) { return first.append(kPartBytes + 1, char(0xff)); }

Result<EntryKey> ParseEntryKey(std::string_view key, const std::vector<bool>& is_text) {
  if (key.size() < kStateKeyPrefixBytes + kPartBytes) return StateDamaged("a key is cut short");
  EntryKey entry;
  entry.chunk = ReadBig(key.substr(key.size() - kPartBytes));
  entry.part = ReadBig(key.substr(key.size() - kPartBytes / 2));
  key.remove_suffix(kPartBytes);
  entry.group_and_key = key.substr(kTimeEnd);
  entry.key = key.substr(kStateKeyPrefixBytes);
  if (!KeyTable::IsKey(entry.key, is_text)) return StateDamaged("a key is none of the query's");
  return entry;
}

void BeginValue(std::string* value) { value->assign(1, char(kFormatVersion)); }

void EndValue(std::string_view key, std::string* value) {
  const uint32_t check = CheckOf(key, *value);
  StateEncoder(value).Put32(check);
}

Result<std::string_view> OpenValue(std::string_view key, std::string_view value) {
  if (value.empty()) return StateDamaged("a value is empty");
  if (uint8_t(value[0]) != kFormatVersion) {
    return ExternalError("state_version",
                         "window state of format " + std::to_string(uint8_t(value[0])) +
                             "; this build reads format " + std::to_string(kFormatVersion),
                         Retry::kNo);
  }
  if (value.size() < 1 + kCheckBytes) return StateDamaged("a value is cut short");
  std::string_view check = value.substr(value.size() - kCheckBytes);
  value.remove_suffix(kCheckBytes);
  if (StateDecoder(&check).Take32() != CheckOf(key, value)) {
    return StateDamaged("a value does not match its check");
  }
  return value.substr(1);
}

}  // namespace millrace
