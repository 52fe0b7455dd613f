#include "worker/reading_place.h"

#include <algorithm>

namespace millrace {
namespace {

std::string Name(const TopicPartition& partition) {
  return partition.topic + "/" + std::to_string(partition.partition);
}

}  // namespace

std::string PlaceOf(const TopicPartition& partition, int64_t offset, int32_t index) {
  const std::string place = Name(partition) + " offset " + std::to_string(offset);
  return index < 0 ? place : place + ", reading " + std::to_string(index);
}

std::string PlaceOf(const Origins& origins) {
  if (origins.offsets.empty()) return "";
  if (origins.offsets.size() == 1) {
    return PlaceOf(origins.source, origins.offsets.front(), origins.IndexOf(0));
  }
  const auto [first, last] = std::ranges::minmax_element(origins.offsets);
  if (*first == *last) return PlaceOf(origins.source, *first, -1);
  return Name(origins.source) + " offsets " + std::to_string(*first) + " to " +
         std::to_string(*last);
}

Status AtPlace(const Status& failure, const std::string& place) {
  return place.empty() ? failure : WithContext(failure, place);
}

}  // namespace millrace
