#include "engine/windows/key_table.h"

#include <algorithm>

#include "engine/base/utf8.h"

namespace millrace {
namespace {

constexpr size_t kFirstTableSize = 1024;

void AppendFixed(uint64_t bits, std::string* bytes) {
  for (int shift = 0; shift < 64; shift += 8) bytes->push_back(char(bits >> shift));
}

uint64_t ReadFixed(const char* bytes, size_t width) {
  uint64_t bits = 0;
  for (size_t i = 0; i < width; ++i) bits |= uint64_t(uint8_t(bytes[i])) << (8 * i);
  return bits;
}

}  // namespace

KeyTable::KeyTable(std::vector<int> columns)
    : columns_(std::move(columns)),
      table_(kFirstTableSize),
      shift_(64 - std::countr_zero(kFirstTableSize)) {}

Status KeyTable::Bind(const arrow::RecordBatch& batch) {
  bound_.clear();
  for (const int column : columns_) {
    ARROW_ASSIGN_OR_RAISE(ColumnReader bound, ColumnReader::Make(*batch.column(column)));
    bound_.push_back(bound);
  }
  return Status::OK();
}

bool KeyTable::Equals(const Key& key, int64_t row) const {
  const char* stored = key.bytes.data();
  for (const ColumnReader& column : bound_) {
    const bool is_null = column.IsNull(row);
    if ((*stored++ == 0) != is_null) return false;
    if (is_null) continue;
    if (column.is_text()) {
      const std::string_view text = column.Text(row);
      if (ReadFixed(stored, 4) != text.size() ||
          std::memcmp(stored + 4, text.data(), text.size()) != 0) {
        return false;
      }
      stored += 4 + text.size();
    } else {
      if (ReadFixed(stored, 8) != column.Fixed(row)) return false;
      stored += 8;
    }
  }
  return true;
}

void KeyTable::Encode(int64_t row, std::string* bytes) const {
  bytes->clear();
  for (const ColumnReader& column : bound_) {
    const bool is_null = column.IsNull(row);
    bytes->push_back(is_null ? 0 : 1);
    if (is_null) continue;
    if (column.is_text()) {
      const std::string_view text = column.Text(row);
      for (int shift = 0; shift < 32; shift += 8) bytes->push_back(char(text.size() >> shift));
      bytes->append(text);
    } else {
      AppendFixed(column.Fixed(row), bytes);
    }
  }
}

uint32_t KeyTable::FindOrInsert(uint64_t hash, int64_t row) {
  const size_t mask = table_.size() - 1;
  for (size_t i = Home(hash); table_[i].id != kNone; i = (i + 1) & mask) {
    if (table_[i].hash == hash && Equals(keys_[table_[i].id], row)) return table_[i].id;
  }
  const uint32_t id = TakeId();
  std::string& bytes = keys_[id].bytes;
  const size_t before = bytes.capacity();
  Encode(row, &bytes);
  text_bytes_ += bytes.capacity() - before;
  Link(hash, id);
  return id;
}

uint32_t KeyTable::FindOrInsert(uint64_t hash, std::string_view bytes) {
  if (const uint32_t known = Find(hash, bytes); known != kNone) return known;
  const uint32_t id = TakeId();
  const size_t before = keys_[id].bytes.capacity();
  keys_[id].bytes = bytes;
  text_bytes_ += keys_[id].bytes.capacity() - before;
  Link(hash, id);
  return id;
}

uint32_t KeyTable::Find(uint64_t hash, std::string_view bytes) const {
  const size_t mask = table_.size() - 1;
  for (size_t i = Home(hash); table_[i].id != kNone; i = (i + 1) & mask) {
    if (table_[i].hash == hash && keys_[table_[i].id].bytes == bytes) return table_[i].id;
  }
  return kNone;
}

uint32_t KeyTable::TakeId() {
  if (free_ids_.empty()) {
    keys_.emplace_back();
    return uint32_t(keys_.size() - 1);
  }
  const uint32_t id = free_ids_.top();
  free_ids_.pop();
  return id;
}

void KeyTable::Link(uint64_t hash, uint32_t id) {
  if ((size_ + 1) * 2 > table_.size()) Grow();
  keys_[id].hash = hash;
  const size_t mask = table_.size() - 1;
  size_t i = Home(hash);
  while (table_[i].id != kNone) i = (i + 1) & mask;
  table_[i] = {hash, id};
  ++size_;
}

void KeyTable::Grow() {
  const std::vector<Entry> old = std::move(table_);
  table_.assign(old.size() * 2, Entry{});
  --shift_;
  const size_t mask = table_.size() - 1;
  for (const Entry& entry : old) {
    if (entry.id == kNone) continue;
    size_t i = Home(entry.hash);
    while (table_[i].id != kNone) i = (i + 1) & mask;
    table_[i] = entry;
  }
}

void KeyTable::RemovePane(uint32_t id) {
  if (--keys_[id].open_panes == 0) Evict(id);
}

void KeyTable::Evict(uint32_t id) {
  const size_t mask = table_.size() - 1;
  size_t hole = Home(keys_[id].hash);
  while (table_[hole].id != id) hole = (hole + 1) & mask;
  // Moves back what a probe from its home would no longer find past the hole.
  for (size_t i = (hole + 1) & mask; table_[i].id != kNone; i = (i + 1) & mask) {
    if (((i - Home(table_[i].hash)) & mask) >= ((i - hole) & mask)) {
      table_[hole] = table_[i];
      hole = i;
    }
  }
  table_[hole].id = kNone;
  keys_[id].bytes.clear();
  free_ids_.push(id);
  --size_;
}

Status KeyTable::Append(std::string_view bytes, std::span<arrow::ArrayBuilder* const> builders) {
  const char* stored = bytes.data();
  for (arrow::ArrayBuilder* builder : builders) {
    if (*stored++ == 0) {
      ARROW_RETURN_NOT_OK(builder->AppendNull());
    } else if (builder->type()->id() == arrow::Type::STRING) {
      const size_t size = ReadFixed(stored, 4);
      ARROW_RETURN_NOT_OK(
          static_cast<arrow::StringBuilder*>(builder)->Append(stored + 4, int32_t(size)));
      stored += 4 + size;
    } else {
      ARROW_RETURN_NOT_OK(AppendBits(ReadFixed(stored, 8), builder));
      stored += 8;
    }
  }
  return Status::OK();
}

bool KeyTable::IsKey(std::string_view bytes, const std::vector<bool>& is_text) {
  for (const bool text : is_text) {
    if (bytes.empty() || uint8_t(bytes[0]) > 1) return false;
    const bool is_null = bytes[0] == 0;
    bytes.remove_prefix(1);
    if (is_null) continue;
    size_t size = 8;
    if (text) {
      if (bytes.size() < 4) return false;
      size = ReadFixed(bytes.data(), 4);
      bytes.remove_prefix(4);
    }
    if (bytes.size() < size) return false;
    if (text && !IsUtf8(bytes.substr(0, size))) return false;
    bytes.remove_prefix(size);
  }
  return bytes.empty();
}

size_t KeyTable::MemoryBytes() const {
  return table_.size() * sizeof(Entry) + keys_.capacity() * sizeof(Key) +
         free_ids_.size() * sizeof(uint32_t) + text_bytes_;
}

}  // namespace millrace
