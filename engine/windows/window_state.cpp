// Saving and restoring of PaneAggregate: one entry a (key, pane) and one for the whole. Format:
// docs/state-format.md.
#include <bit>

#include "engine/windows/pane_aggregate.h"
#include "engine/windows/state_bytes.h"

namespace millrace {
namespace {

constexpr uint8_t kFormatVersion = 1;
// After every key group.
constexpr std::string_view kHeaderKey("\xff\xff", 2);
constexpr size_t kKeyBytesAt = 2 + 8;
constexpr uint64_t kSignBit = uint64_t(1) << 63;

Status TakeVersion(StateDecoder* in) {
  const uint8_t version = in->Take8();
  ARROW_RETURN_NOT_OK(in->status());
  if (version == kFormatVersion) return Status::OK();
  return ExternalError("state_version",
                       "window state of format " + std::to_string(version) +
                           "; this build reads format " + std::to_string(kFormatVersion),
                       Retry::kNo);
}

Status CheckEnd(const StateDecoder& in, std::string_view rest) {
  ARROW_RETURN_NOT_OK(in.status());
  if (rest.empty()) return Status::OK();
  return ExternalError("state_damaged", "saved window state is longer than it should be",
                       Retry::kNo);
}

}  // namespace

std::string PaneAggregate::Fingerprint() const {
  std::string text = "size " + std::to_string(node_.size.count()) + " slide " +
                     std::to_string(node_.slide.count()) + " offset " +
                     std::to_string(geometry_.offset);
  for (size_t i = 0; i < node_.keys.size(); ++i) {
    text += " key " + output_->field(int(i) + 2)->type()->ToString();
  }
  for (const Measure& measure : layout_.measures()) {
    text += " measure " + std::string(TypeName(measure.type)) + " " +
            std::to_string(measure.parts) + " filter " + std::to_string(measure.rows_offset / 8);
  }
  return text + " filters " + std::to_string(layout_.filters().size());
}

std::string PaneAggregate::EncodeHeader() const {
  std::string value;
  StateEncoder out(&value);
  out.Put8(kFormatVersion);
  out.PutText(Fingerprint());
  out.Put64(uint64_t(watermark_.time_since_epoch().count()));
  out.Put64(uint64_t(next_window_));
  out.Put32(next_key_);
  for (const int64_t count : {counts_.rows_added, counts_.rows_counted, counts_.rows_too_late,
                              counts_.sums_out_of_range}) {
    out.Put64(uint64_t(count));
  }
  return value;
}

std::string PaneAggregate::EncodeKey(int64_t pane, const Member& member) const {
  std::string key;
  const auto group = uint16_t(KeyGroupOf(keys_.hash(member.key)).value());
  key.push_back(char(group >> 8));
  key.push_back(char(group));
  const uint64_t last = uint64_t(geometry_.PaneLast(pane)) ^ kSignBit;
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(char(last >> shift));
  key.append(keys_.bytes(member.key));
  return key;
}

Status PaneAggregate::Save(StateWriter* writer) const {
  std::string value;
  for (const auto& [index, pane] : panes_) {
    for (const Member& member : pane.members) {
      value.clear();
      StateEncoder out(&value);
      out.Put8(kFormatVersion);
      out.Put64(keys_.hash(member.key));
      out.Put32(member.key);
      layout_.Save(slab_.Row(member.slot), &value);
      ARROW_RETURN_NOT_OK(writer->Put(EncodeKey(index, member), value));
    }
  }
  return writer->Put(kHeaderKey, EncodeHeader());
}

Status PaneAggregate::Restore(StateReader* reader) {
  if (counts_.rows_added != 0 || watermark_ != kEventTimeMin) {
    return InternalError("not_fresh", "window state restored over other state");
  }
  // The header says whether the rest can be read.
  ARROW_RETURN_NOT_OK(reader->Scan(kHeaderKey, "", [&](std::string_view, std::string_view value) {
    return RestoreHeader(value);
  }));
  ARROW_RETURN_NOT_OK(reader->Scan(
      "", kHeaderKey,
      [&](std::string_view key, std::string_view value) { return RestoreMember(key, value); }));
  keys_.EndRestore();
  return Status::OK();
}

Status PaneAggregate::RestoreHeader(std::string_view value) {
  StateDecoder in(&value);
  ARROW_RETURN_NOT_OK(TakeVersion(&in));
  if (in.TakeText() != Fingerprint()) {
    ARROW_RETURN_NOT_OK(in.status());
    return UserError("state_of_another_query",
                     "the saved state belongs to another window, other keys or other aggregates");
  }
  watermark_ = EventTime(Micros(int64_t(in.Take64())));
  next_window_ = int64_t(in.Take64());
  next_key_ = in.Take32();
  for (int64_t* count : {&counts_.rows_added, &counts_.rows_counted, &counts_.rows_too_late,
                         &counts_.sums_out_of_range}) {
    *count = int64_t(in.Take64());
  }
  return CheckEnd(in, value);
}

Status PaneAggregate::RestoreMember(std::string_view key, std::string_view value) {
  if (key.size() < kKeyBytesAt) {
    return ExternalError("state_damaged", "a key of window state is cut short", Retry::kNo);
  }
  uint64_t last = 0;
  for (size_t i = 2; i < kKeyBytesAt; ++i) last = last << 8 | uint8_t(key[i]);
  const int64_t pane = geometry_.PaneOf(int64_t(last ^ kSignBit));
  StateDecoder in(&value);
  ARROW_RETURN_NOT_OK(TakeVersion(&in));
  const uint64_t hash = in.Take64();
  const uint32_t wanted = in.Take32();
  ARROW_RETURN_NOT_OK(in.status());
  if (wanted > kKeyIdMax) {
    return ExternalError("state_damaged", "a key id of window state is too large", Retry::kNo);
  }
  const uint32_t id = keys_.Restore(hash, key.substr(kKeyBytesAt), wanted);
  char* row = AccumulatorsOf(id, pane);
  ARROW_RETURN_NOT_OK(layout_.Restore(&value, row, &object_bytes_));
  return CheckEnd(in, value);
}

}  // namespace millrace
