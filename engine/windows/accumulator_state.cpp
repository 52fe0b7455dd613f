// Accumulators as bytes. Format: docs/state-format.md, "Accumulators".
#include <algorithm>

#include "engine/windows/accumulator_layout.h"
#include "engine/windows/distinct_set.h"
#include "engine/windows/state_bytes.h"

namespace millrace {
namespace {

// Of one argument in one part: half a megabyte.
constexpr size_t kPartValuesMax = 65'536;

void SaveText(const std::string* text, StateEncoder* out) {
  out->Put8(text != nullptr);
  if (text != nullptr) out->PutText(*text);
}

void SaveDistinct(const DistinctSet* set, StateEncoder* out) {
  out->Put64(set == nullptr ? 0 : set->size());
  if (set == nullptr) return;
  set->ForEachFixed([out](uint64_t bits) { out->Put64(bits); });
  set->ForEachText([out](std::string_view text) { out->PutText(text); });
}

void RestoreDistinct(bool is_text, StateDecoder* in, DistinctSet** place) {
  const uint64_t count = in->TakeCount(is_text ? 4 : 8);
  if (count == 0) return;
  *place = new DistinctSet();
  for (uint64_t i = 0; i < count; ++i) {
    if (is_text) {
      (*place)->InsertText(in->TakeText());
    } else {
      (*place)->Insert(in->Take64());
    }
  }
}

}  // namespace

void AccumulatorLayout::Save(const char* row, std::string* bytes) const {
  StateEncoder out(bytes);
  for (size_t offset = 0; offset < FilterOffset(filters_.size()); offset += sizeof(int64_t)) {
    out.Put64(FieldAt<uint64_t>(row, offset));
  }
  for (const Measure& measure : measures_) {
    out.Put64(FieldAt<uint64_t>(row, measure.base));
    const bool is_text = measure.type == Type::kText;
    for (unsigned part = kSum; part <= kTrues; part <<= 1) {
      if (!measure.Has(part) || (is_text && part != kTrues)) continue;
      out.Put64(FieldAt<uint64_t>(row, measure.Offset(part)));
      if (part & (kSum | kSquares)) out.Put64(FieldAt<uint64_t>(row, measure.Offset(part) + 8));
    }
    for (const unsigned part : {kMin, kMax}) {
      if (is_text && measure.Has(part)) {
        SaveText(FieldAt<std::string*>(row, measure.Offset(part)), &out);
      }
    }
    if (measure.Has(kDistinct)) {
      SaveDistinct(FieldAt<DistinctSet*>(row, measure.Offset(kDistinct)), &out);
    }
  }
}

Status AccumulatorLayout::Restore(std::string_view* bytes, char* row) const {
  StateDecoder in(bytes);
  for (size_t offset = 0; offset < FilterOffset(filters_.size()); offset += sizeof(int64_t)) {
    FieldAt<uint64_t>(row, offset) = in.Take64();
  }
  for (const Measure& measure : measures_) {
    FieldAt<uint64_t>(row, measure.base) = in.Take64();
    const bool is_text = measure.type == Type::kText;
    for (unsigned part = kSum; part <= kTrues; part <<= 1) {
      if (!measure.Has(part) || (is_text && part != kTrues)) continue;
      FieldAt<uint64_t>(row, measure.Offset(part)) = in.Take64();
      if (part & (kSum | kSquares)) {
        FieldAt<uint64_t>(row, measure.Offset(part) + 8) = in.Take64();
      }
    }
    for (const unsigned part : {kMin, kMax}) {
      if (!is_text || !measure.Has(part) || in.Take8() == 0) continue;
      FieldAt<std::string*>(row, measure.Offset(part)) = new std::string(in.TakeText());
    }
    if (measure.Has(kDistinct)) {
      RestoreDistinct(is_text, &in, &FieldAt<DistinctSet*>(row, measure.Offset(kDistinct)));
    }
  }
  return in.status();
}

bool AccumulatorLayout::SaveValues(char* row, std::string* bytes) const {
  const size_t begin = bytes->size();
  StateEncoder out(bytes);
  bool any = false;
  for (const Measure& measure : measures_) {
    if (!measure.Has(kValues)) continue;
    ValueList* list = FieldAt<ValueList*>(row, measure.Offset(kValues));
    const size_t count =
        list == nullptr ? 0 : std::min(list->values.size() - list->written, kPartValuesMax);
    any = any || count > 0;
    out.Put64(count);
    for (size_t i = 0; i < count; ++i) {
      out.Put64(std::bit_cast<uint64_t>(list->values[list->written + i]));
    }
    if (count > 0) list->written += count;
  }
  if (!any) bytes->resize(begin);
  return any;
}

Status AccumulatorLayout::RestoreValues(std::string_view* bytes, char* row) const {
  StateDecoder in(bytes);
  for (const Measure& measure : measures_) {
    if (!measure.Has(kValues)) continue;
    const uint64_t count = in.TakeCount(sizeof(double));
    if (count == 0) continue;
    ValueList*& list = FieldAt<ValueList*>(row, measure.Offset(kValues));
    if (list == nullptr) list = new ValueList();
    for (uint64_t i = 0; i < count; ++i) {
      list->values.push_back(std::bit_cast<double>(in.Take64()));
    }
  }
  return in.status();
}

bool AccumulatorLayout::IsWhole(const char* row) const {
  for (const Measure& measure : measures_) {
    const int64_t count =
        FieldAt<int64_t>(row, measure.rows_offset) - FieldAt<int64_t>(row, measure.base);
    if (count < 0) return false;
    if (measure.Has(kValues)) {
      const ValueList* list = FieldAt<ValueList*>(row, measure.Offset(kValues));
      if ((list == nullptr ? 0 : list->values.size()) != size_t(count)) return false;
    }
    if (measure.type != Type::kText || count == 0) continue;
    for (const unsigned part : {kMin, kMax}) {
      if (measure.Has(part) && FieldAt<std::string*>(row, measure.Offset(part)) == nullptr) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace millrace
