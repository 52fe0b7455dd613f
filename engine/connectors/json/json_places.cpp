#include "engine/connectors/json/json_places.h"

#include <utility>

#include "engine/json/json_document.h"
#include "engine/model/json_path.h"

namespace millrace {

int JsonPlaces::Add(const std::string& from, int column) {
  std::string error;  // the job file's reader has told it
  int place = kMessage;
  for (const JsonPathStep& step : ParseJsonPath(from, &error)) {
    places_[size_t(place)].inner.push_back(column);
    const int fresh = int(places_.size());
    Place& holder = places_[size_t(place)];
    place = step.item < 0 ? holder.keys.emplace(step.key, fresh).first->second
                          : holder.items.emplace(step.item, fresh).first->second;
    if (place == fresh) places_.emplace_back();
  }
  return std::exchange(places_[size_t(place)].column, column);
}

int JsonPlaces::OfKey(int place, std::string_view raw) {
  if (raw.find('\\') == std::string_view::npos) {
    scratch_.assign(raw);
  } else if (!UnescapeJson(raw, &scratch_)) {
    return kBadKey;
  }
  if (place < 0) return kUnused;
  const auto& keys = places_[size_t(place)].keys;
  const auto entry = keys.find(scratch_);
  return entry == keys.end() ? kUnused : entry->second;
}

int JsonPlaces::OfItem(int place, int64_t index) const {
  if (place < 0) return kUnused;
  const auto& items = places_[size_t(place)].items;
  const auto entry = items.find(index);
  return entry == items.end() ? kUnused : entry->second;
}

}  // namespace millrace
