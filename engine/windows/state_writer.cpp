#include "engine/windows/state_writer.h"

#include <utility>

#include "engine/base/ids.h"
#include "engine/state/state_key.h"
#include "engine/windows/accumulator_slab.h"
#include "engine/windows/state_bytes.h"
#include "engine/windows/state_entry.h"

namespace millrace {

void StateWriter::Open(StateStore* store, const StoredFormat* format) {
  store_ = store;
  format_ = format;
}

const std::string& StateWriter::KeyOf(int64_t time, uint64_t hash, std::string_view key) {
  key_.clear();
  AppendStateKey(format_->operator_number, time, KeyGroupOf(hash), &key_);
  key_.append(key);
  return key_;
}

void StateWriter::Put(int64_t time, uint64_t hash, std::string_view key, uint32_t chunk,
                      char* row) {
  const AccumulatorLayout& layout = *format_->layout;
  RowHeader& header = AccumulatorSlab::HeaderOf(row);
  const size_t key_end = KeyOf(time, hash, key).size();
  const auto put = [&](uint32_t part) {
    key_.resize(key_end);
    AppendEntryPart(chunk, part, &key_);
    EndValue(key_, &value_);
    batch_.Put(key_, value_);
  };
  for (BeginValue(&value_); layout.SaveValues(row, &value_); BeginValue(&value_)) {
    put(++header.parts);
  }
  StateEncoder out(&value_);
  out.Put64(hash);
  if (layout.has_values()) out.Put32(header.parts);
  layout.Save(row, &value_);
  put(0);
}

void StateWriter::Delete(int64_t time, uint64_t hash, std::string_view key, uint32_t chunk,
                         uint32_t parts, StateBatch* batch) {
  const size_t key_end = KeyOf(time, hash, key).size();
  for (uint32_t part = 0; part <= parts; ++part) {
    key_.resize(key_end);
    AppendEntryPart(chunk, part, &key_);
    batch->Delete(key_);
  }
}

Status StateWriter::Flush() {
  if (batch_.empty()) return Status::OK();
  return store_->Write(std::exchange(batch_, {}));
}

}  // namespace millrace
