// Accumulators as bytes. Format: docs/state-format.md, "Accumulators".
#include <algorithm>

#include "engine/windows/accumulator_layout.h"
#include "engine/windows/accumulator_objects.h"
#include "engine/windows/state_bytes.h"

namespace millrace {
namespace {

// Of one argument in one part: half a megabyte.
constexpr size_t kPartValuesMax = 65'536;
constexpr size_t kPartBytesMax = 512 << 10;

void SaveText(const std::string* text, StateEncoder* out) {
  out->Put8(text != nullptr);
  if (text != nullptr) out->PutText(*text);
}

// Fields of 64 bits that a row holds itself.
int FixedFields(const Measure& measure, unsigned part) {
  const bool is_text = measure.type == Type::kText;
  switch (part) {
    case kSum:
    case kSquares:
      return is_text ? 0 : 2;
    case kMin:
    case kMax:
      return is_text ? 0 : 1;
    case kTrues:
      return 1;
    case kPair:
      return 10;
    case kFirst:
    case kLast:
      return is_text ? 0 : 2;
    default:
      return 0;
  }
}

// What is restored as parts of values.
template <typename T>
constexpr bool kIsOfParts = std::is_same_v<T, ValueList> || std::is_same_v<T, Series>;

// Calls `visit` with the offset of every fixed field.
template <typename Visit>
void ForEachField(const Measure& measure, Visit visit) {
  for (int bit = 0; bit < kPartCount; ++bit) {
    const unsigned part = 1u << bit;
    if (!measure.Has(part)) continue;
    for (int field = 0; field < FixedFields(measure, part); ++field) {
      visit(measure.Offset(part) + size_t(field) * sizeof(int64_t));
    }
  }
}

void SaveEdgeText(const EdgeValue& edge, StateEncoder* out) {
  out->Put64(uint64_t(edge.by));
  SaveText(TextOf(edge), out);
}

void RestoreEdgeText(StateDecoder* in, EdgeValue* edge) {
  edge->by = int64_t(in->Take64());
  if (in->Take8() == 0) return;
  edge->value = reinterpret_cast<int64_t>(new std::string(in->TakeText()));
}

// How many items from `first` on make one part.
size_t PartSize(const Series& series, size_t first) {
  size_t bytes = 0, count = 0;
  for (size_t i = first; i < series.items.size() && bytes < kPartBytesMax; ++i, ++count) {
    bytes += sizeof(Series::Item);
    if (!series.texts.empty()) bytes += series.texts[size_t(series.items[i].value)].size();
  }
  return count;
}

bool SaveItems(const Measure& measure, Series* series, StateEncoder* out) {
  const size_t count = series == nullptr ? 0 : PartSize(*series, series->written);
  out->Put64(count);
  for (size_t i = 0; i < count; ++i) {
    const Series::Item& item = series->items[series->written + i];
    out->Put64(uint64_t(item.by));
    if (measure.type == Type::kText) {
      out->PutText(series->texts[size_t(item.value)]);
    } else {
      out->Put64(uint64_t(item.value));
    }
  }
  if (count > 0) series->written += count;
  return count > 0;
}

bool SaveValueList(ValueList* list, StateEncoder* out) {
  const size_t count =
      list == nullptr ? 0 : std::min(list->values.size() - list->written, kPartValuesMax);
  out->Put64(count);
  for (size_t i = 0; i < count; ++i) {
    out->Put64(std::bit_cast<uint64_t>(list->values[list->written + i]));
  }
  if (count > 0) list->written += count;
  return count > 0;
}

}  // namespace

void AccumulatorLayout::Save(const char* row, std::string* bytes) const {
  StateEncoder out(bytes);
  for (size_t offset = 0; offset < FilterOffset(filters_.size()); offset += sizeof(int64_t)) {
    out.Put64(FieldAt<uint64_t>(row, offset));
  }
  for (const Measure& measure : measures_) {
    out.Put64(FieldAt<uint64_t>(row, measure.base));
    ForEachField(measure, [&](size_t offset) { out.Put64(FieldAt<uint64_t>(row, offset)); });
    if (measure.type == Type::kText) {
      for (const unsigned part : {kMin, kMax}) {
        if (measure.Has(part)) SaveText(FieldAt<std::string*>(row, measure.Offset(part)), &out);
      }
      for (const unsigned part : {kFirst, kLast}) {
        if (measure.Has(part)) SaveEdgeText(FieldAt<EdgeValue>(row, measure.Offset(part)), &out);
      }
    }
    ForEachObject(measure, [&]<typename T>(Part<T> part) {
      if constexpr (!kIsOfParts<T>) {
        const T* const object = FieldAt<T*>(row, part.offset);
        out.Put8(object != nullptr);
        if (object != nullptr) object->Save(&out);
      }
    });
  }
}

Status AccumulatorLayout::Restore(std::string_view* bytes, char* row) const {
  StateDecoder in(bytes);
  for (size_t offset = 0; offset < FilterOffset(filters_.size()); offset += sizeof(int64_t)) {
    FieldAt<int64_t>(row, offset) = in.TakeTally();
  }
  for (const Measure& measure : measures_) {
    FieldAt<int64_t>(row, measure.base) = in.TakeTally();
    const bool is_text = measure.type == Type::kText;
    ForEachField(measure, [&](size_t offset) { FieldAt<uint64_t>(row, offset) = in.Take64(); });
    if (measure.Has(kTrues)) {
      in.Require(FieldAt<uint64_t>(row, measure.Offset(kTrues)) <= kTallyMax);
    }
    if (is_text) {
      for (const unsigned part : {kMin, kMax}) {
        if (!measure.Has(part) || in.Take8() == 0) continue;
        FieldAt<std::string*>(row, measure.Offset(part)) = new std::string(in.TakeText());
      }
      for (const unsigned part : {kFirst, kLast}) {
        if (measure.Has(part)) RestoreEdgeText(&in, &FieldAt<EdgeValue>(row, measure.Offset(part)));
      }
    }
    ForEachObject(measure, [&]<typename T>(Part<T> part) {
      if constexpr (!kIsOfParts<T>) {
        if (in.Take8() != 0) ObjectAt<T>(row, part.offset).Restore(&in, is_text);
      }
    });
  }
  return in.status();
}

bool AccumulatorLayout::SaveValues(char* row, std::string* bytes) const {
  const size_t begin = bytes->size();
  StateEncoder out(bytes);
  bool any = false;
  for (const Measure& measure : measures_) {
    if (measure.Has(kValues)) {
      any |= SaveValueList(FieldAt<ValueList*>(row, measure.Offset(kValues)), &out);
    }
    if (measure.Has(kSeries)) {
      any |= SaveItems(measure, FieldAt<Series*>(row, measure.Offset(kSeries)), &out);
    }
  }
  if (!any) bytes->resize(begin);
  return any;
}

Status AccumulatorLayout::RestoreValues(std::string_view* bytes, char* row) const {
  StateDecoder in(bytes);
  for (const Measure& measure : measures_) {
    if (measure.Has(kValues)) {
      const uint64_t count = in.TakeCount(sizeof(double));
      for (uint64_t i = 0; i < count; ++i) {
        ObjectAt<ValueList>(row, measure.Offset(kValues))
            .values.push_back(std::bit_cast<double>(in.Take64()));
      }
    }
    if (measure.Has(kSeries)) {
      const bool is_text = measure.type == Type::kText;
      const uint64_t count = in.TakeCount(is_text ? 12 : 16);
      for (uint64_t i = 0; i < count; ++i) {
        Series& series = ObjectAt<Series>(row, measure.Offset(kSeries));
        const auto by = int64_t(in.Take64());
        if (is_text) {
          series.AddText(by, in.TakeText());
        } else {
          series.Add(by, int64_t(in.Take64()));
        }
      }
    }
  }
  return in.status();
}

bool AccumulatorLayout::IsWhole(const char* row) const {
  for (const Measure& measure : measures_) {
    const int64_t count =
        FieldAt<int64_t>(row, measure.rows_offset) - FieldAt<int64_t>(row, measure.base);
    if (count < 0) return false;
    bool whole = true;
    ForEachObject(measure, [&]<typename T>(Part<T> part) {
      const T* const object = FieldAt<T*>(row, part.offset);
      if constexpr (std::is_same_v<T, ValueList>) {
        whole &= (object == nullptr ? 0 : object->values.size()) == size_t(count);
      } else if constexpr (std::is_same_v<T, Series>) {
        whole &= (object == nullptr ? 0 : object->items.size()) == size_t(count);
      } else {
        // Null where there was no value, and only there.
        whole &= (object != nullptr && !object->empty()) == (count > 0);
      }
    });
    if (!whole) return false;
    if (measure.type != Type::kText || count == 0) continue;
    for (const unsigned part : {kMin, kMax}) {
      if (measure.Has(part) && FieldAt<std::string*>(row, measure.Offset(part)) == nullptr) {
        return false;
      }
    }
    for (const unsigned part : {kFirst, kLast}) {
      if (measure.Has(part) && TextOf(FieldAt<EdgeValue>(row, measure.Offset(part))) == nullptr) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace millrace
