#include "engine/windows/key_clocks.h"

#include <algorithm>
#include <utility>

#include "engine/state/state_key.h"
#include "engine/windows/key_hash.h"
#include "engine/windows/state_bytes.h"
#include "engine/windows/state_entry.h"

namespace millrace {
namespace {

// Before the time of any window: a pane's last microsecond and a session's place are never it,
// because what is there was not late.
constexpr int64_t kClockTime = INT64_MIN;
constexpr size_t kClocksFew = 1024;
constexpr size_t kFurthest = 5;

// Bytes of one column at the beginning of those of a key.
size_t ColumnBytes(std::string_view bytes, bool is_text) {
  if (bytes[0] == 0) return 1;
  if (!is_text) return 1 + 8;
  size_t size = 0;
  for (size_t i = 0; i < 4; ++i) size |= size_t(uint8_t(bytes[1 + i])) << (8 * i);
  return 1 + 4 + size;
}

}  // namespace

KeyClocks::KeyClocks(const KeyClock& clock, const std::vector<int>& node_keys, Micros lateness,
                     KeyTable* keys)
    : node_(clock),
      delay_((clock.max_delay + lateness).count()),
      offline_for_(clock.offline_for + lateness),
      own_(clock.keys.size() == node_keys.size() ? nullptr
                                                 : std::make_unique<KeyTable>(clock.keys)),
      table_(own_ == nullptr ? keys : own_.get()),
      forget_at_(kClocksFew) {
  for (const int key : clock.keys) {
    columns_.push_back(size_t(std::ranges::find(node_keys, key) - node_keys.begin()));
  }
}

Status KeyClocks::Bind(const arrow::RecordBatch& batch, std::span<const uint64_t> hashes) {
  hashes_ = hashes;
  if (is_of_key()) return Status::OK();
  ARROW_RETURN_NOT_OK(own_->Bind(batch));
  ARROW_RETURN_NOT_OK(HashKeys(batch, node_.keys, &own_hashes_));
  hashes_ = own_hashes_;
  return Status::OK();
}

void KeyClocks::Begin(uint32_t id) {
  if (id >= clocks_.size()) clocks_.resize(std::max<size_t>(id + 1, 2 * clocks_.size()));
  clocks_[id] = Clock();
  clocks_[id].is_known = true;
  table_->AddPane(id);
  ++size_;
}

void KeyClocks::NoteSource(uint32_t id) {
  Clock& clock = clocks_[id];
  if (clock.source != 0 && source_ != 0) {
    ++moved_;
    moved_key_ = table_->bytes(id);
  }
  clock.source = source_;
}

// ---- What is due -------------------------------------------------------------------------------

void KeyClocks::SetDue(uint32_t id, int64_t due) {
  Clock& clock = clocks_[id];
  if (clock.has_due && clock.due == due) return;
  clock.has_due = true;
  clock.due = due;
  if (Reach(id) >= due) {
    SetReady(id);
    return;
  }
  // Most leave it by their own clock: what is no longer true is dropped when it is the most.
  if (by_due_.size() >= 2 * size_ + kClocksFew) {
    MakeQueue();
  } else {
    by_due_.push({due, id});
  }
}

void KeyClocks::MakeQueue() {
  std::vector<At> all;
  all.reserve(2 * size_ + kClocksFew);
  for (uint32_t id = 0; id < clocks_.size(); ++id) {
    if (clocks_[id].is_known && clocks_[id].has_due) all.push_back({clocks_[id].due, id});
  }
  by_due_ = Queue(std::greater<>(), std::move(all));
}

void KeyClocks::SetReady(uint32_t id) {
  if (std::exchange(clocks_[id].is_ready, true)) return;
  ready_.push_back(id);
}

void KeyClocks::PopReady() {
  clocks_[ready_[next_ready_]].is_ready = false;
  if (++next_ready_ < ready_.size()) return;
  ready_.clear();
  next_ready_ = 0;
}

void KeyClocks::AdvanceTo(EventTime watermark) {
  watermark_ = std::max(watermark_, watermark);
  floor_ = std::max(floor_, MovedBack(watermark_, offline_for_).time_since_epoch().count());
  while (!by_due_.empty() && (by_due_.top().due <= floor_ || !IsTrue(by_due_.top()))) {
    if (IsTrue(by_due_.top())) SetReady(by_due_.top().id);
    by_due_.pop();
  }
  if (size_ >= forget_at_) ForgetOffline();
}

// ---- Forgetting --------------------------------------------------------------------------------

// Some while after they went offline, so that they can be told.
void KeyClocks::ForgetOffline() {
  const int64_t before =
      MovedBack(EventTime(Micros(floor_)), offline_for_).time_since_epoch().count();
  for (uint32_t id = 0; id < clocks_.size(); ++id) {
    const Clock& clock = clocks_[id];
    const bool is_free = clock.is_known && !clock.has_due && !clock.is_ready;
    if (is_free && clock.time <= before) Forget(id);
  }
  forget_at_ = std::max(kClocksFew, 2 * size_);
}

void KeyClocks::Forget(uint32_t id) {
  Clock& clock = clocks_[id];
  if (clock.touched == seal_number_ - 1) Write(id);
  if (clock.is_written) deleted_.Delete(StoredKey(id));
  clock.is_known = false;
  clock.touched = 0;
  --size_;
  table_->RemovePane(id);
}

// ---- State -------------------------------------------------------------------------------------

void KeyClocks::Open(StateStore* store, const StoredFormat& format, StateWriter* writer) {
  store_ = store;
  operator_number_ = format.operator_number;
  writer_ = writer;
  node_is_text_ = format.is_text;
  is_text_.clear();
  for (const size_t column : columns_) is_text_.push_back(node_is_text_[column]);
  if (is_of_key()) is_text_ = node_is_text_;
}

const std::string& KeyClocks::StoredKey(uint32_t id) {
  entry_key_.clear();
  AppendStateKey(operator_number_, kClockTime, KeyGroupOf(table_->hash(id)), &entry_key_);
  entry_key_.append(table_->bytes(id));
  AppendEntryPart(0, 0, &entry_key_);
  return entry_key_;
}

void KeyClocks::Write(uint32_t id) {
  StoredKey(id);
  BeginValue(&entry_value_);
  StateEncoder out(&entry_value_);
  out.Put64(table_->hash(id));
  out.Put64(uint64_t(clocks_[id].time));
  EndValue(entry_key_, &entry_value_);
  writer_->batch()->Put(entry_key_, entry_value_);
  clocks_[id].touched = 0;
  clocks_[id].is_written = true;
}

void KeyClocks::Touch(uint32_t id) {
  if (clocks_[id].touched == seal_number_ - 1) Write(id);
  clocks_[id].touched = seal_number_;
  dirty_.push_back(id);
}

void KeyClocks::Seal(StateBatch* batch) {
  ++seal_number_;
  to_write_.swap(dirty_);
  deleted_.ForEach(
      [batch](StateBatch::Kind, std::string_view key, std::string_view) { batch->Delete(key); });
  deleted_.Clear();
}

Result<bool> KeyClocks::WriteSealed(int64_t* left) {
  for (; !to_write_.empty() && *left > 0; --*left) {
    const uint32_t id = to_write_.back();
    to_write_.pop_back();
    // One that was touched or forgotten since was written then.
    if (clocks_[id].touched != seal_number_ - 1) continue;
    Write(id);
    ARROW_RETURN_NOT_OK(writer_->FlushIfLarge());
  }
  return !to_write_.empty();
}

Status KeyClocks::TakeOver(StateIterator* entries) {
  for (; entries->Valid(); entries->Next()) {
    ARROW_ASSIGN_OR_RAISE(const StateKeyParts parts, ParseStateKey(entries->key()));
    if (parts.time != kClockTime) break;
    ARROW_ASSIGN_OR_RAISE(const EntryKey entry, ParseEntryKey(entries->key(), is_text_));
    if (entry.chunk != 0 || entry.part != 0) return StateDamaged("a clock is of no chunk");
    ARROW_ASSIGN_OR_RAISE(std::string_view value, OpenValue(entries->key(), entries->value()));
    StateDecoder in(&value);
    const uint64_t hash = in.Take64();
    const auto time = int64_t(in.Take64());
    ARROW_RETURN_NOT_OK(in.status());
    if (!value.empty()) return StateDamaged("a clock is longer than it should be");
    if (KeyGroupOf(hash) != parts.group) return StateDamaged("a key's hash is not the key's");
    const uint32_t id = table_->FindOrInsert(hash, entry.key);
    Begin(id);
    clocks_[id].time = time;
    clocks_[id].is_written = true;
    if (!is_of_key()) taken_over_.emplace(entry.key, id);
  }
  return entries->status();
}

uint32_t KeyClocks::ClockOf(uint32_t key, std::string_view bytes) const {
  if (is_of_key()) return key < clocks_.size() && clocks_[key].is_known ? key : kNone;
  std::vector<std::string_view> columns;
  for (const bool is_text : node_is_text_) {
    columns.push_back(bytes.substr(0, ColumnBytes(bytes, is_text)));
    bytes.remove_prefix(columns.back().size());
  }
  std::string of_clock;
  for (const size_t column : columns_) of_clock.append(columns[column]);
  const auto found = taken_over_.find(of_clock);
  return found == taken_over_.end() ? kNone : found->second;
}

void KeyClocks::Settle() {
  taken_over_.clear();
  forget_at_ = std::max(kClocksFew, 2 * size_);
}

// ---- Figures -----------------------------------------------------------------------------------

size_t KeyClocks::MemoryBytes() const {
  return (own_ == nullptr ? 0 : own_->MemoryBytes()) + clocks_.capacity() * sizeof(Clock) +
         by_due_.size() * sizeof(At) +
         (ready_.capacity() + dirty_.capacity() + to_write_.capacity()) * sizeof(uint32_t) +
         deleted_.bytes();
}

KeyCensus KeyClocks::Census() const {
  KeyCensus census;
  census.moved = moved_;
  census.moved_key = moved_key_;
  if (watermark_ == kEventTimeMin || watermark_ == kEventTimeMax) {
    census.live = int64_t(size_);
    return census;
  }
  const int64_t fleet = watermark_.time_since_epoch().count();
  const int64_t behind = MovedBack(watermark_, Micros(delay_)).time_since_epoch().count();
  const int64_t gone =
      MovedBack(EventTime(Micros(floor_)), offline_for_).time_since_epoch().count();
  std::vector<std::pair<int64_t, uint32_t>> furthest;  // as a heap, the least behind first
  for (uint32_t id = 0; id < clocks_.size(); ++id) {
    const Clock& clock = clocks_[id];
    if (!clock.is_known || clock.time <= gone) continue;
    if (clock.time >= behind) {
      ++census.live;
      continue;
    }
    ++(clock.time > floor_ ? census.behind : census.offline);
    // What is offline holds nothing up.
    if (clock.time <= floor_) continue;
    if (furthest.size() == kFurthest && clock.time >= furthest.front().first) continue;
    furthest.emplace_back(clock.time, id);
    std::push_heap(furthest.begin(), furthest.end());
    if (furthest.size() <= kFurthest) continue;
    std::pop_heap(furthest.begin(), furthest.end());
    furthest.pop_back();
  }
  std::ranges::sort(furthest);
  for (const auto& [time, id] : furthest) {
    census.furthest.push_back({std::string(table_->bytes(id)), Micros(fleet - time)});
  }
  return census;
}

}  // namespace millrace
