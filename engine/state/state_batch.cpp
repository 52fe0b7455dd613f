#include <cstring>

#include "engine/state/state_store.h"

namespace millrace {
namespace {

constexpr size_t kHeaderBytes = 1 + 4 + 4;  // kind, and the lengths of both texts

}  // namespace

void StateBatch::Append(Kind kind, std::string_view key, std::string_view second) {
  const uint32_t lengths[2] = {uint32_t(key.size()), uint32_t(second.size())};
  bytes_.push_back(char(kind));
  bytes_.append(reinterpret_cast<const char*>(lengths), sizeof(lengths));
  bytes_.append(key);
  bytes_.append(second);
  ++entries_;
}

void StateBatch::Put(std::string_view key, std::string_view value) {
  Append(Kind::kPut, key, value);
}

void StateBatch::Delete(std::string_view key) { Append(Kind::kDelete, key, {}); }

void StateBatch::DeleteRange(std::string_view first, std::string_view last) {
  if (first < last) Append(Kind::kDeleteRange, first, last);
}

void StateBatch::Clear() {
  bytes_.clear();
  entries_ = 0;
}

void StateBatch::ForEach(
    const std::function<void(Kind, std::string_view, std::string_view)>& visit) const {
  std::string_view rest(bytes_);
  while (!rest.empty()) {
    uint32_t lengths[2];
    std::memcpy(lengths, rest.data() + 1, sizeof(lengths));
    const Kind kind = Kind(rest[0]);
    rest.remove_prefix(kHeaderBytes);
    visit(kind, rest.substr(0, lengths[0]), rest.substr(lengths[0], lengths[1]));
    rest.remove_prefix(size_t(lengths[0]) + lengths[1]);
  }
}

}  // namespace millrace
